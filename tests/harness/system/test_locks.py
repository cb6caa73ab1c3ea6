"""Locks between processes: who waits, who is refused, and that a killed process holds none."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.system.errors import UserError
from harness.system.locks import measuring_on_this_machine, run_lock, training_on_this_machine

TRAINING = "training_on_this_machine(lambda: None)"
MEASURING = "measuring_on_this_machine()"


@contextmanager
def another_process(lock: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, which this Python expression makes, until it is ended."""
    script = f"""
import sys
from pathlib import Path
from harness.system.locks import *
with {lock}:
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_run_is_held_by_one_process(tmp_path: Path) -> None:
    with another_process(f"run_lock(Path({str(tmp_path)!r}), 'a')"):
        with run_lock(tmp_path, "a") as own:
            assert not own
        with run_lock(tmp_path, "b") as own:
            assert own
    with run_lock(tmp_path, "a") as own:
        assert own


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with another_process(f"run_lock(Path({str(tmp_path)!r}), 'a')") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with run_lock(tmp_path, "a") as own:
            assert own


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / ".locks").touch()
    with pytest.raises(UserError, match="choose a folder that can be written"), run_lock(tmp_path, "a"):
        pass


@pytest.mark.parametrize("other", [TRAINING, MEASURING])
def test_measuring_is_refused_beside_others(other: str) -> None:
    with (
        another_process(other),
        pytest.raises(UserError, match="another process of the harness trains or measures"),
        measuring_on_this_machine(),
    ):
        pass
    with measuring_on_this_machine():
        pass


def test_training_goes_on_beside_training() -> None:
    waited: list[bool] = []
    with another_process(TRAINING), training_on_this_machine(lambda: waited.append(True)):
        assert waited == []


@pytest.mark.parametrize("lock", [training_on_this_machine, measuring_on_this_machine])
def test_who_wants_to_wait_says_so_and_waits(lock: object) -> None:
    waited: list[float] = []
    with another_process(MEASURING) as process:

        def end_soon() -> None:
            waited.append(time.monotonic())
            process.kill()
            process.wait()

        with lock(end_soon):  # type: ignore[operator]
            assert len(waited) == 1
            assert process.returncode == -signal.SIGKILL
