"""Stops that are asked for, and budgets."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.system.errors import UserError
from harness.system.signals import RESERVE_S, STOP_SIGNALS, SUPERVISOR, StopRequest, parse_time
from harness.system.supervisor import Heartbeat


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signal handlers of before."""
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    for number, handler in before.items():
        if handler is not None:
            signal.signal(number, handler)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands at its only value."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("25m", 1500.0), ("1.5h", 5400.0), (" 2 m ", 120.0)])
def test_budgets(text: str, seconds: float) -> None:
    assert parse_time(text, "budget") == seconds


@pytest.mark.parametrize("text", ["", "25", "m", "-1m", "0s", "0.0h", "1d", "1m30s", "nan m"])
def test_what_is_no_budget_is_said(text: str) -> None:
    with pytest.raises(UserError, match="write a number and s, m or h"):
        parse_time(text, "budget")


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR2, signal.SIGXCPU, signal.SIGRTMIN]


def test_signals_that_end_a_process_by_default_are_known() -> None:
    assert set(STOPS) <= set(STOP_SIGNALS)
    others = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGWINCH, signal.SIGPIPE, signal.SIGSEGV}
    assert not others & set(STOP_SIGNALS)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_is_remembered_and_a_second_one_ends(number: signal.Signals, clock: list[float]) -> None:
    stop = StopRequest()
    assert not stop()
    os.kill(os.getpid(), number)
    assert stop() and stop() and not stop.time_limit_reached
    clock[0] += 0.5
    os.kill(os.getpid(), number)  # the same one, passed on by the parent
    assert stop()
    clock[0] += 1.0
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    stop = StopRequest()
    os.kill(os.getpid(), signal.SIGHUP)
    assert not stop()


def test_a_budget_keeps_time_for_two_more_stretches_and_the_checkpoint(clock: list[float]) -> None:
    stop = StopRequest(deadline_s=1000.0 + 100.0)
    assert not stop()
    for now in (1010.0, 1030.0, 1040.0):  # stretches of 10, 20 and 10 s
        clock[0] = now
        assert not stop()
    clock[0] = 1100.0 - 2 * 20.0 - RESERVE_S - 0.1  # 4.9 s later
    assert not stop()
    clock[0] += 0.2
    assert stop() and stop.time_limit_reached


def test_without_a_budget_time_does_not_matter(clock: list[float]) -> None:
    stop = StopRequest()
    clock[0] = 1e9
    assert not stop()


def test_each_question_is_a_sign_of_life(clock: list[float], tmp_path: Path) -> None:
    beat = tmp_path / "heartbeat"
    stop = StopRequest(beat=beat)
    stop()
    first = beat.stat().st_mtime_ns
    clock[0] += 1.0
    stop()
    assert beat.stat().st_mtime_ns == first  # not on every step
    time.sleep(0.02)
    clock[0] += 1.5
    stop()
    assert beat.stat().st_mtime_ns > first


def test_the_end_of_the_process_that_started_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not StopRequest()()
    monkeypatch.setenv(SUPERVISOR, str(os.getppid()))
    assert not StopRequest()()
    monkeypatch.setenv(SUPERVISOR, str(os.getpid()))  # as if another had adopted this one
    gone = StopRequest()
    assert gone() and not gone.time_limit_reached


def test_a_heartbeat_stops_after_its_time_but_not_while_all_was_paused(tmp_path: Path, clock: list[float]) -> None:
    beat = tmp_path / "heartbeat"
    beat.touch()
    heartbeat = Heartbeat(beat, timeout_s=100.0)

    def after(seconds: float) -> bool:
        clock[0] += seconds
        return heartbeat.has_stopped()

    assert [after(40.0), after(40.0), after(40.0)] == [False, False, True]
    os.utime(beat, (1.0, 1.0))
    assert [after(40.0), after(40.0)] == [False, False]
    assert not after(20.0)  # 60 since it was seen touched
    os.utime(beat, (2.0, 2.0))
    assert not after(1.0)
    assert not after(3600.0), "an hour in which nobody looked: whoever waits was paused too"
    assert after(41.0)
