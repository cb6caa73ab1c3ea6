"""Times of a pass: warm-up, rounds of samples, and their summary.

On a GPU each sample lies between two CUDA events, and the host runs a few passes ahead, so that no sample of a
round but the first begins on an idle card; on a CPU it is wall time. `time_callables` times whatever can be
called in this process.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from harness.profiling.presets import PLANS, TimingPlan, spread_warning
from harness.profiling.work import RoundSamples
from harness.records.measurement import SEED, Preset
from harness.records.measurement_values import Round, TimeSummary, pack_samples, thin
from harness.system.quantities import Quantity

HOST_LIMIT_SHARE = 0.05  # of a round's wall time that no event covers
STEADY_SAMPLES = 10  # a side in the comparison of medians that ends a warm-up
AHEAD = 4  # passes that the host asks of a GPU before it waits for the first of them
# Fewer samples support no such percentile at 99 % confidence (MLPerf Inference's rule of early stopping).
P95_SAMPLES, P99_SAMPLES = 130, 662

# Whether so many samples, taken in so many seconds, suffice.
Enough = Callable[[int, float], bool]


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What is timed: `run`, each time after `prepare`, which is not."""

    prepare: Callable[[], None] = lambda: None
    run: Callable[[], object]


class Clock(Protocol):
    """Takes samples of a pass."""

    @property
    def block(self) -> int:
        """Samples of a warm-up between two looks at its limits."""

    def take(self, timed: Pass, enough: Enough) -> RoundSamples:
        """Take samples, at least one, until there are enough."""


class WallClock:
    """For a CPU: the host's clock around each run."""

    block = 1

    def take(self, timed: Pass, enough: Enough) -> RoundSamples:
        """Take samples, at least one, until there are enough."""
        samples: list[float] = []
        began = time.perf_counter()
        while not samples or not enough(len(samples), time.perf_counter() - began):
            timed.prepare()
            start = time.perf_counter()
            timed.run()
            samples.append((time.perf_counter() - start) * 1e3)
        return RoundSamples(samples_ms=tuple(samples), uncovered_share=0.0)


class CudaClock:
    """For a GPU: events on the stream.

    A pass that finds the card idle takes longer. The host therefore never lets the card run dry: it asks for
    `ahead` passes before it waits for the first of them. Those at the beginning of a round, with which the
    queue fills, are no samples.

    Args:
        ahead: passes in the queue.
    """

    block = STEADY_SAMPLES

    def __init__(self, ahead: int = AHEAD) -> None:
        self._ahead = ahead

    def take(self, timed: Pass, enough: Enough) -> RoundSamples:
        """Take samples, at least one, until there are enough."""
        passes: list[tuple[Any, Any, Any]] = []  # events: before preparation, start, stop
        torch.cuda.synchronize()
        began = time.perf_counter()
        while (count := len(passes) - self._ahead) < 1 or not enough(count, time.perf_counter() - began):
            before, start, stop = _event(), _event(), _event()
            before.record()
            timed.prepare()
            start.record()
            timed.run()
            stop.record()
            passes.append((before, start, stop))
            if len(passes) > self._ahead:
                passes[-1 - self._ahead][2].synchronize()
        torch.cuda.synchronize()
        wall_ms = (time.perf_counter() - began) * 1e3
        covered_ms = sum(before.elapsed_time(stop) for before, _, stop in passes)
        return RoundSamples(
            samples_ms=tuple(start.elapsed_time(stop) for _, start, stop in passes[self._ahead :]),
            uncovered_share=1 - covered_ms / wall_ms,
        )


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what was asked of it; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# -- timing in this process ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Times of a callable, and what is doubtful about them, a sentence each."""

    time: TimeSummary
    warnings: tuple[str, ...]


def time_callables(
    runs: Mapping[str, Callable[[], object]],
    preset: Preset,
    *,
    clock: Clock | None = None,
    on_step: Callable[[str], None] = lambda name: None,
) -> dict[str, Timed]:
    """Time callables of this process beside each other: a slow minute of the machine meets all of them alike.

    Each is warmed up. Then the rounds go round between them in shuffled order. On a CPU a callable returns when its
    work is done. on_step is called with a name as its warm-up or one of its rounds begins.
    """
    plan, clock, order = PLANS[preset], clock or WallClock(), random.Random(SEED)
    passes = {name: Pass(run=run) for name, run in runs.items()}
    warmed, rounds = {}, dict[str, list[RoundSamples]]()
    for name, timed in passes.items():
        on_step(name)
        warmed[name], rounds[name] = warm_up(timed, clock, plan), []
    for _ in range(plan.rounds):
        for name in order.sample(list(passes), len(passes)):
            on_step(name)
            rounds[name].append(take_round(passes[name], clock, plan))
    return {name: timed_rounds(rounds[name], warmed[name], plan) for name in runs}


# -- steps -----------------------------------------------------------------------------------------------------


class WarmUp(NamedTuple):
    """What a warm-up took."""

    samples: int
    seconds: float
    steady: bool


def warm_up(timed: Pass, clock: Clock, plan: TimingPlan) -> WarmUp:
    """Run the pass until the plan's conditions hold, or its limit is reached."""
    samples: list[float] = []
    began = time.perf_counter()
    while True:
        samples += clock.take(timed, lambda count, seconds: count >= clock.block).samples_ms
        seconds = time.perf_counter() - began
        long_enough = len(samples) >= plan.warmup_samples and seconds >= plan.warmup_s
        steady = plan.steady_share is None or is_steady(samples, plan.steady_share)
        if long_enough and steady:
            return WarmUp(samples=len(samples), seconds=seconds, steady=True)
        if seconds >= plan.warmup_limit_s:
            return WarmUp(samples=len(samples), seconds=seconds, steady=steady)


def take_round(timed: Pass, clock: Clock, plan: TimingPlan) -> RoundSamples:
    """Take one round of samples."""

    def enough(count: int, seconds: float) -> bool:
        return (count >= plan.samples and seconds >= plan.round_s) or seconds >= plan.round_limit_s

    return clock.take(timed, enough)


def timed_rounds(rounds: Sequence[RoundSamples], warmed: WarmUp, plan: TimingPlan) -> Timed:
    """The times of rounds, at least one, after a warm-up, or after several together."""
    summary = summarize([one.samples_ms for one in rounds], warmup_n=warmed.samples, warmup_s=warmed.seconds)
    return Timed(time=summary, warnings=tuple(timing_warnings(summary, rounds, plan, warmed.steady)))


def timing_warnings(summary: TimeSummary, rounds: Sequence[RoundSamples], plan: TimingPlan, steady: bool) -> list[str]:
    """What is doubtful about times, a sentence each, without the name of what was timed."""
    warnings = []
    if not steady:
        warnings.append(f"not steady after {summary.warmup_s:.0f} s of warm-up")
    if spread := spread_warning(summary.spread_percent):
        warnings.append(spread)
    fewest = min(one.n for one in summary.rounds)
    if fewest < plan.samples:
        warnings.append(f"{fewest} samples in a round, {plan.samples} wanted")
    uncovered = statistics.median(one.uncovered_share for one in rounds)
    if uncovered > HOST_LIMIT_SHARE:
        warnings.append(f"CPU-bound: {uncovered:.0%} of the wall time lies outside the device's events")
    return warnings


def is_steady(samples: Sequence[float], share: float) -> bool:
    """Whether the medians of the last two groups of ten samples differ by less than this share."""
    if len(samples) < 2 * STEADY_SAMPLES:
        return False
    last = statistics.median(samples[-STEADY_SAMPLES:])
    before = statistics.median(samples[-2 * STEADY_SAMPLES : -STEADY_SAMPLES])
    return abs(last - before) < share * before


def summarize(rounds: Sequence[Sequence[float]], *, warmup_n: int, warmup_s: float) -> TimeSummary:
    """The summary of samples in milliseconds, one sequence a round, all of them non-empty."""
    medians = [statistics.median(samples) for samples in rounds]
    headline = statistics.median(medians)
    joined = np.concatenate([np.asarray(samples) for samples in rounds])
    low, high, p90 = np.percentile(joined, [25, 75, 90])
    return TimeSummary(
        median_ms=_rounded(headline),
        p90_ms=_rounded(p90),
        p95_ms=_tail(joined, 95, P95_SAMPLES),
        p99_ms=_tail(joined, 99, P99_SAMPLES),
        iqr_ms=_rounded(high - low),
        n=len(joined),
        spread_percent=round((max(medians) - min(medians)) / headline * 100, 3),
        warmup_n=warmup_n,
        warmup_s=round(warmup_s, 2),
        rounds=tuple(
            Round(
                n=len(samples),
                median_ms=_rounded(median),
                samples_ms=thin([_rounded(sample) for sample in samples]),
                all_samples=pack_samples(samples),
            )
            for samples, median in zip(rounds, medians, strict=True)
        ),
    )


def _tail(samples: NDArray[np.float64], percent: int, needed: int) -> Quantity:
    if len(samples) < needed:
        return Quantity(reason=f"needs {needed} samples")
    return Quantity(value=_rounded(float(np.percentile(samples, percent))))


def _rounded(milliseconds: float) -> float:
    return round(float(milliseconds), 4)  # a CUDA event resolves about 0.0005 ms
