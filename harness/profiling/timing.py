"""Times of a pass: warm-up, rounds of samples, and their summary.

On a GPU each sample lies between two CUDA events, and the host waits once a block; on a CPU it is wall time.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from harness.profiling.presets import TimingPlan
from harness.profiling.work import RoundSamples
from harness.records.measurement_values import KEPT_SAMPLES, Round, TimeSummary
from harness.system.quantities import Quantity

SPREAD_LIMIT_PERCENT = 3.0  # between the medians of rounds
HOST_LIMIT_SHARE = 0.05  # of a block's wall time that no event covers
STEADY_SAMPLES = 10  # a side in the comparison of medians that ends a warm-up
# Fewer samples support no such percentile at 99 % confidence (MLPerf Inference's rule of early stopping).
P95_SAMPLES, P99_SAMPLES = 130, 662


@dataclass(frozen=True, kw_only=True)
class Pass:
    """What is timed: `run`, each time after `prepare`, which is not."""

    prepare: Callable[[], None]
    run: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Block:
    """Samples taken without waiting in between.

    uncovered_share: of the block's wall time, that in which the device had nothing of it to do.
    """

    samples_ms: list[float]
    uncovered_share: float


class Clock(Protocol):
    """Takes samples of a pass, `block` at a time."""

    @property
    def block(self) -> int:
        """Samples taken between two looks at the limits."""

    def sample(self, timed: Pass, count: int) -> Block:
        """Take so many samples."""


class WallClock:
    """For a CPU: the host's clock around each run."""

    block = 1

    def sample(self, timed: Pass, count: int) -> Block:
        """Take so many samples."""
        samples = []
        for _ in range(count):
            timed.prepare()
            start = time.perf_counter()
            timed.run()
            samples.append((time.perf_counter() - start) * 1e3)
        return Block(samples_ms=samples, uncovered_share=0.0)


class CudaClock:
    """For a GPU: events on the stream, which the host waits for at the end of a block."""

    block = 10

    def sample(self, timed: Pass, count: int) -> Block:
        """Take so many samples."""
        events = [(_event(), _event(), _event()) for _ in range(count)]
        torch.cuda.synchronize()
        began = time.perf_counter()
        for before, start, stop in events:
            before.record()
            timed.prepare()
            start.record()
            timed.run()
            stop.record()
        torch.cuda.synchronize()
        wall_ms = (time.perf_counter() - began) * 1e3
        covered_ms = sum(before.elapsed_time(stop) for before, _, stop in events)
        return Block(
            samples_ms=[start.elapsed_time(stop) for _, start, stop in events],
            uncovered_share=1 - covered_ms / wall_ms,
        )


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class WarmUp:
    """What a warm-up took."""

    samples: int
    seconds: float
    steady: bool


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what was asked of it; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def warm_up(timed: Pass, clock: Clock, plan: TimingPlan) -> WarmUp:
    """Run the pass until the plan's conditions hold, or its limit is reached."""
    samples: list[float] = []
    began = time.perf_counter()
    while True:
        samples += clock.sample(timed, clock.block).samples_ms
        seconds = time.perf_counter() - began
        long_enough = len(samples) >= plan.warmup_samples and seconds >= plan.warmup_s
        steady = plan.steady_share is None or is_steady(samples, plan.steady_share)
        if long_enough and steady:
            return WarmUp(samples=len(samples), seconds=seconds, steady=True)
        if seconds >= plan.warmup_limit_s:
            return WarmUp(samples=len(samples), seconds=seconds, steady=steady)


def take_round(timed: Pass, clock: Clock, plan: TimingPlan) -> RoundSamples:
    """Take one round of samples."""
    samples: list[float] = []
    uncovered: list[float] = []
    began = time.perf_counter()
    while True:
        block = clock.sample(timed, clock.block)
        samples += block.samples_ms
        uncovered.append(block.uncovered_share)
        seconds = time.perf_counter() - began
        if (len(samples) >= plan.samples and seconds >= plan.round_s) or seconds >= plan.round_limit_s:
            return RoundSamples(samples_ms=tuple(samples), uncovered_share=statistics.median(uncovered))


def doubts(summary: TimeSummary, rounds: Sequence[RoundSamples], plan: TimingPlan, steady: bool) -> list[str]:
    """What is doubtful about times, a sentence each, without the name of what was timed."""
    flags = []
    if not steady:
        flags.append(f"not steady after {summary.warmup_s:.0f} s of warm-up")
    if summary.spread_percent > SPREAD_LIMIT_PERCENT:
        flags.append(f"rounds spread by {summary.spread_percent:.1f} % (limit {SPREAD_LIMIT_PERCENT:.0f} %)")
    fewest = min(one.n for one in summary.rounds)
    if fewest < plan.samples:
        flags.append(f"{fewest} samples in a round, {plan.samples} wanted")
    uncovered = statistics.median(one.uncovered_share for one in rounds)
    if uncovered > HOST_LIMIT_SHARE:
        flags.append(f"CPU-bound: {uncovered:.0%} of the wall time lies outside the device's events")
    return flags


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
            Round(n=len(samples), median_ms=_rounded(median), samples_ms=thin(samples))
            for samples, median in zip(rounds, medians, strict=True)
        ),
    )


def _tail(samples: NDArray[np.float64], percent: int, needed: int) -> Quantity:
    if len(samples) < needed:
        return Quantity(reason=f"needs {needed} samples")
    return Quantity(value=_rounded(float(np.percentile(samples, percent))))


def thin(samples: Sequence[float]) -> tuple[float, ...]:
    """At most KEPT_SAMPLES of them, evenly over time, the first and the last among them."""
    count = min(len(samples), KEPT_SAMPLES)
    chosen = np.linspace(0, len(samples) - 1, count).round().astype(int)
    return tuple(_rounded(samples[index]) for index in chosen)


def _rounded(milliseconds: float) -> float:
    return round(float(milliseconds), 4)  # a CUDA event resolves about 0.0005 ms
