"""Figures with what is known of their noise, and the difference of two of them.

Scores on images: the hierarchical bootstrap of `harness.metrics.bootstrap`; runs that share a seed are paired.
Times: the spread of their rounds. What is counted has no noise.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics.bootstrap import Interval, over_seeds
from harness.system.quantities import NotMeasured

# Times differ if by more than so many times the larger spread of their rounds.
SPREADS = 2.0
# An interval of times needs so many fresh processes of both: kernels are chosen anew in each.
PROCESSES = 3
# With fewer, times differ if by more than this share of the longer one: twice the spread of rounds (3 %) from
# which on a measurement is flagged.
PROCESS_MARGIN = 0.06

# What a difference is held against: nothing, rounds of times, a fixed share of times, seeds and blocks of test
# images, or blocks alone.
By = Literal["nothing", "rounds", "margin", "seeds", "images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A figure of one network.

    values: one a seed; one alone where no seed is involved.
    noise: whether it was counted, timed in rounds, or scored on images.
    seeds: of training, in the order of the values; those that both networks have are compared in pairs.
    resampled: (S, R), each seed's figure on R draws of blocks of images, the same for all networks; none where
        there are too few images.
    labeled: (N, K), labeled pixels of each class of each image that the draws are of.
    spread: of the rounds of a time, in its unit. processes: that the rounds were taken in.
    evaluations: what it was read from, one a value: figures of the same evaluations are one figure.
    """

    values: tuple[float, ...]
    noise: Literal["counted", "rounds", "images"]
    seeds: tuple[int, ...] = (0,)
    resampled: NDArray[np.float64] | None = None
    labeled: NDArray[np.int64] | None = None
    spread: float = 0.0
    processes: int = 1
    evaluations: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def std(self) -> float | None:
        """Over the seeds (sample, n - 1); none for one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def minus(self, other: "Sample") -> "Sample":
        """This figure less another of the same runs, seed by seed and draw by draw."""
        drawn = None
        if self.resampled is not None and other.resampled is not None:
            drawn = self.resampled - other.resampled
        values = tuple(one - two for one, two in zip(self.values, other.values, strict=True))
        return replace(self, values=values, resampled=drawn)

    def times(self, factor: float) -> "Sample":
        """The figure so many times as large."""
        return replace(
            self,
            values=tuple(factor * value for value in self.values),
            resampled=None if self.resampled is None else factor * self.resampled,
            spread=factor * self.spread,
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference with its 95 % interval; that of counted figures has no width.

    by: what the interval is of. seeds: that the two networks are compared by. paired: whether seed by seed.
    """

    estimate: float
    low: float
    high: float
    by: By
    seeds: tuple[int, int] = (1, 1)
    paired: bool = False

    @property
    def is_tie(self) -> bool:
        """Whether the two can't be told apart."""
        return self.low <= 0 <= self.high


def counted(value: float) -> Sample:
    """A figure without noise."""
    return Sample(values=(value,), noise="counted")


def difference(one: Sample, other: Sample) -> Difference | NotMeasured:
    """`one` less `other`, or why the two can't be compared.

    Of scores the seeds that both have are compared, each with itself; all of them where they have none in
    common.
    """
    if one.noise == "counted":
        estimate = round(one.mean - other.mean, 9)  # figures of few digits, whose ties binary fractions would break
        return Difference(estimate=estimate, low=estimate, high=estimate, by="nothing")
    if one.noise == "rounds":
        return _of_times(one, other)
    if not _same_images(one, other):
        return NotMeasured(reason="not scored on the same labels")
    if one.resampled is None or other.resampled is None:
        return NotMeasured(reason="too few images for an interval")
    shared = [seed for seed in one.seeds if seed in other.seeds]
    first, second = ([each.seeds.index(seed) for seed in shared or each.seeds] for each in (one, other))
    found = over_seeds(one.resampled[first], other.resampled[second], paired=bool(shared))
    seeds = (len(first), len(second))
    return Difference(
        estimate=float(np.mean([one.values[at] for at in first]) - np.mean([other.values[at] for at in second])),
        low=found.low,
        high=found.high,
        by="images" if max(seeds) == 1 else "seeds",
        seeds=seeds,
        paired=bool(shared),
    )


def interval(sample: Sample) -> Interval | None:
    """The 95 % interval of a score's mean over its seeds; none where there are too few images."""
    if sample.resampled is None:
        return None
    found = over_seeds(sample.resampled)
    return replace(found, estimate=sample.mean)


def _of_times(one: Sample, other: Sample) -> Difference:
    half = SPREADS * max(one.spread, other.spread)
    processes = min(one.processes, other.processes) >= PROCESSES
    if not processes:
        half = max(half, PROCESS_MARGIN * max(one.mean, other.mean))
    estimate = one.mean - other.mean
    by: By = "rounds" if processes else "margin"
    return Difference(estimate=estimate, low=estimate - half, high=estimate + half, by=by)


def _same_images(one: Sample, other: Sample) -> bool:
    if one.labeled is None or other.labeled is None:
        return one.labeled is other.labeled
    return np.array_equal(one.labeled, other.labeled)
