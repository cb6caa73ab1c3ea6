import random
import time
from collections.abc import Iterator
from itertools import count, repeat

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.profiling.presets import PLANS
from harness.profiling.timing import (
    CudaClock,
    Enough,
    Pass,
    WallClock,
    is_steady,
    summarize,
    take_round,
    time_callables,
    timed_rounds,
    warm_up,
)
from harness.profiling.work import RoundSamples
from harness.records.measurement import Preset
from harness.records.measurement_values import KEPT_SAMPLES, TimeSummary, thin

NOTHING = Pass(prepare=lambda: None, run=lambda: None)


class ScriptedClock:
    """Gives out the samples of a list, each of which takes its own length of a simulated time."""

    def __init__(self, samples: Iterator[float], monkeypatch: pytest.MonkeyPatch, uncovered: float = 0.0) -> None:
        self._samples = samples
        self._uncovered = uncovered
        self.now_s = 0.0
        self.block = 1
        monkeypatch.setattr(time, "perf_counter", lambda: self.now_s)

    def take(self, timed: Pass, enough: Enough) -> RoundSamples:
        taken: list[float] = []
        began = self.now_s
        while not taken or not enough(len(taken), self.now_s - began):
            timed.run()
            taken.append(next(self._samples))
            self.now_s += taken[-1] / 1e3
        return RoundSamples(samples_ms=tuple(taken), uncovered_share=self._uncovered)


def time_pass(clock: ScriptedClock, preset: Preset) -> tuple[TimeSummary, tuple[str, ...]]:
    """A warm-up and all rounds, in one process."""
    plan = PLANS[preset]
    warmed = warm_up(NOTHING, clock, plan)
    timed = timed_rounds([take_round(NOTHING, clock, plan) for _ in range(plan.rounds)], warmed, plan)
    return timed.time, timed.warnings


def test_summary_by_hand() -> None:
    rounds = [[1.0, 2.0, 3.0], [5.0, 6.0, 7.0], [4.0, 3.0, 5.0]]
    summary = summarize(rounds, warmup_n=3, warmup_s=0.5)
    assert [one.median_ms for one in summary.rounds] == [2.0, 6.0, 4.0]
    assert summary.median_ms == 4.0
    assert summary.spread_percent == pytest.approx(100.0)  # (6 - 2) / 4
    assert summary.n == 9
    # sorted: 1 2 3 3 4 5 5 6 7
    assert summary.iqr_ms == pytest.approx(5.0 - 3.0)
    assert summary.p90_ms == pytest.approx(6.2)


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=700))
def test_thinning_keeps_order_ends_and_limit(samples: list[float]) -> None:
    kept = thin(samples)
    assert len(kept) == min(len(samples), KEPT_SAMPLES)
    assert (kept[0], kept[-1]) == (samples[0], samples[-1])
    if len(samples) <= KEPT_SAMPLES:
        assert list(kept) == samples


@given(st.lists(st.floats(0.01, 1e4), min_size=1, max_size=700))
def test_every_sample_is_kept(samples: list[float]) -> None:
    """Percentiles can be taken again from a record, whatever is thinned in plain sight."""
    summary = summarize([samples, samples[::-1]], warmup_n=0, warmup_s=0)
    summary = TimeSummary.model_validate_json(summary.model_dump_json())
    kept = [one.every_sample_ms() or () for one in summary.rounds]
    assert kept[0] == pytest.approx(samples, abs=6e-5)
    assert kept[1] == kept[0][::-1]
    assert summary.p90_ms == pytest.approx(np.percentile(np.concatenate(kept), 90), abs=2e-4)


def test_an_old_record_has_no_more_than_thinned_samples() -> None:
    round_ = summarize([[float(n) for n in range(500)]], warmup_n=0, warmup_s=0).rounds[0]
    assert round_.model_copy(update={"all_samples": None}).every_sample_ms() is None


@pytest.mark.parametrize(("before", "last", "steady"), [(10.0, 10.05, True), (10.0, 10.2, False), (10.0, 9.8, False)])
def test_steady(before: float, last: float, steady: bool) -> None:
    assert is_steady([50.0] * 5 + [before] * 10 + [last] * 10, 0.01) is steady


def test_too_few_samples_are_not_steady() -> None:
    assert not is_steady([1.0] * 19, 0.01)


@pytest.mark.parametrize(
    ("preset", "milliseconds", "warmed", "rounds", "warnings"),
    [
        ("cpu", 2000.0, 3, [10] * 3, ()),  # counts samples
        ("cpu", 20_000.0, 3, [2] * 3, ("2 samples in a round, 10 wanted",)),
        ("lease", 10.0, 200, [300] * 3, ()),  # counts seconds
        ("full", 10.0, 200, [1000] * 5, ()),  # wants both
        ("full", 100.0, 20, [200] * 5, ()),  # two groups of ten, to compare their medians
        ("full", 1000.0, 20, [60] * 5, ("60 samples in a round, 200 wanted",)),  # stops after a minute
    ],
)
def test_presets(
    preset: Preset,
    milliseconds: float,
    warmed: int,
    rounds: list[int],
    warnings: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    summary, found = time_pass(ScriptedClock(repeat(milliseconds), monkeypatch), preset)
    assert summary.warmup_n == pytest.approx(warmed, abs=1)
    assert [one.n for one in summary.rounds] == pytest.approx(rounds, abs=1)
    assert [len(one.samples_ms) for one in summary.rounds] == [min(one.n, KEPT_SAMPLES) for one in summary.rounds]
    assert found == warnings


def test_a_warm_up_that_never_settles_ends_and_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ScriptedClock((10.0 * 1.01**n for n in count()), monkeypatch)
    _, flags = time_pass(clock, "full")
    assert any(flag.startswith("not steady after 30 s") or "31 s" in flag for flag in flags)


def test_spread_between_rounds_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = iter([1.0] * 3 + [10.0] * 10 + [10.2] * 10 + [10.4] * 10)
    summary, flags = time_pass(ScriptedClock(samples, monkeypatch), "cpu")
    assert summary.spread_percent == pytest.approx(0.4 / 10.2 * 100, abs=1e-3)
    assert flags == ("rounds spread by 3.9 % (limit 3 %)",)


def test_host_time_between_events_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ScriptedClock(repeat(10.0), monkeypatch, uncovered=0.2)
    _, flags = time_pass(clock, "cpu")
    assert flags == ("CPU-bound: 20% of the wall time lies outside the device's events",)


def test_wall_clock_leaves_preparation_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    timed = Pass(prepare=lambda: advance(5.0), run=lambda: advance(0.25))
    assert WallClock().take(timed, lambda count, seconds: count >= 3).samples_ms == (250.0,) * 3


class Stream:
    """A simulated GPU: host and card have a clock each; a pass that finds the card idle takes 3 ms longer."""

    HOST_MS, PREPARE_MS, RUN_MS, IDLE_MS = 0.1, 3.0, 2.0, 3.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host_ms = self.card_ms = 0.0
        self.deepest = 0
        self._ends: list[float] = []
        monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: _StreamEvent(self))
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: self.wait(self.card_ms))
        monkeypatch.setattr(time, "perf_counter", lambda: self.host_ms / 1e3)
        self.timed = Pass(prepare=lambda: self._ask(self.PREPARE_MS), run=lambda: self._ask(self.RUN_MS))

    def wait(self, until_ms: float) -> None:
        self.host_ms = max(self.host_ms, until_ms)

    def _ask(self, milliseconds: float) -> None:
        self.host_ms += self.HOST_MS
        idle = milliseconds == self.RUN_MS and self.card_ms - self.PREPARE_MS <= self.host_ms
        self.card_ms = max(self.card_ms, self.host_ms) + milliseconds + (self.IDLE_MS if idle else 0.0)
        self._ends.append(self.card_ms)
        self.deepest = max(self.deepest, sum(end > self.host_ms for end in self._ends) // 2)


class _StreamEvent:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def record(self) -> None:
        self._at = max(self._stream.card_ms, self._stream.host_ms)

    def synchronize(self) -> None:
        self._stream.wait(self._at)

    def elapsed_time(self, other: "_StreamEvent") -> float:
        return other._at - self._at


@pytest.mark.parametrize("ahead", random.Random(0).sample(range(2, 30), 6))
def test_percentiles_do_not_depend_on_when_the_host_waits(ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the length of the queue, no sample begins on an idle card."""
    stream = Stream(monkeypatch)
    taken = CudaClock(ahead).take(stream.timed, lambda count, seconds: count >= 50)
    assert taken.samples_ms == pytest.approx([Stream.RUN_MS] * 50)
    assert taken.uncovered_share < 0.02
    assert stream.deepest <= ahead + 1


def test_a_card_that_waits_for_its_host_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host does something else for 20 ms between passes of 8 ms."""
    stream = Stream(monkeypatch)

    def enough(count: int, seconds: float) -> bool:
        stream.host_ms += 20.0
        return count >= 40

    assert CudaClock().take(stream.timed, enough).uncovered_share == pytest.approx(0.6, abs=0.1)


def test_callables_are_timed_beside_each_other() -> None:
    asked: list[str] = []
    runs = {"short": lambda: time.sleep(0.001), "long": lambda: time.sleep(0.004)}
    found = time_callables(runs, "quick", on_step=asked.append)
    assert [found[name].time.n for name in runs] == [9, 9]
    assert 1.0 <= found["short"].time.median_ms < found["long"].time.median_ms
    assert asked[:2] == list(runs) and all(sorted(asked[at : at + 2]) == sorted(runs) for at in (2, 4, 6))


def test_one_callable(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[None] = []
    clock = ScriptedClock(iter([9.0] * 3 + [1.0] * 10 + [2.0] * 10 + [3.0] * 10), monkeypatch)
    found = time_callables({"": lambda: ran.append(None)}, "cpu", clock=clock)[""]
    assert (found.time.median_ms, found.time.warmup_n, len(ran)) == (2.0, 3, 33)
    assert found.warnings == ("rounds spread by 100.0 % (limit 3 %)",)


def test_percentiles_need_samples() -> None:
    few = summarize([[1.0] * 129], warmup_n=0, warmup_s=0)
    assert (few.p95_ms.reason, few.p99_ms.reason) == ("needs 130 samples", "needs 662 samples")
    many = summarize([[float(n) for n in range(1, 663)]], warmup_n=0, warmup_s=0)
    assert many.p95_ms.value == pytest.approx(1 + 0.95 * 661)
    assert many.p99_ms.value == pytest.approx(1 + 0.99 * 661)
