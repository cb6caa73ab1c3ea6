"""Figures with what is known of their noise, and the difference of two of them.

A difference of scores is judged by the seeds where both networks have several: by Welch's t, or by the paired
t where both are of the same trainings, as a network is and its refined output. Else it is judged by a paired
bootstrap over blocks of neighboring frames of the test images, both networks on the same resamples. A
difference of times is judged by the spread of their rounds. What is counted has no noise.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.system.quantities import NotMeasured

LEVEL = 0.95
# Times differ if by more than so many times the larger spread of their rounds.
SPREADS = 2.0

# What a difference is held against: nothing, rounds of times, seeds of training, resamples of test images.
By = Literal["nothing", "rounds", "seeds", "images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A figure of one network.

    values: one a seed; one alone where no seed is involved.
    noise: whether it was counted, timed in rounds, or scored on images.
    resampled: (S, R), each seed's figure on R resamples of the images, the same for all networks; none where
        there are not two blocks of images.
    labeled: (N, K), labeled pixels of each class of each image that the resamples are of.
    spread: of the rounds of a time, in its unit; none where one round alone was taken.
    trainings: the run that each value's network was trained in.
    """

    values: tuple[float, ...]
    noise: Literal["counted", "rounds", "images"]
    resampled: NDArray[np.float64] | None = None
    labeled: NDArray[np.int64] | None = None
    spread: float | None = None
    trainings: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    @property
    def std(self) -> float | None:
        """Over the seeds (sample, n - 1); none for one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    def minus(self, other: "Sample") -> "Sample":
        """This figure less another of the same network, seed by seed and resample by resample."""
        drawn = None
        if self.resampled is not None and other.resampled is not None:
            drawn = self.resampled - other.resampled
        return replace(
            self,
            values=tuple(one - two for one, two in zip(self.values, other.values, strict=True)),
            resampled=drawn,
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A difference with its 95 % interval; that of counted figures has no width.

    by: what the interval is of. seeds: of the two networks.
    """

    estimate: float
    low: float
    high: float
    by: By
    seeds: tuple[int, int] = (1, 1)

    @property
    def is_tie(self) -> bool:
        """Whether the two can't be told apart."""
        return self.low <= 0 <= self.high


def counted(value: float) -> Sample:
    """A figure without noise."""
    return Sample(values=(value,), noise="counted")


def difference(one: Sample, other: Sample) -> Difference | NotMeasured:
    """`one` less `other`, or why the two can't be compared."""
    estimate = one.mean - other.mean
    if one.noise == "counted":
        estimate = round(estimate, 9)  # figures of few digits, whose ties binary fractions would break
        return Difference(estimate=estimate, low=estimate, high=estimate, by="nothing")
    if one.noise == "rounds":
        if one.spread is None or other.spread is None:
            return NotMeasured(reason="one round of times has no spread")
        half = SPREADS * max(one.spread, other.spread)
        return Difference(estimate=estimate, low=estimate - half, high=estimate + half, by="rounds")
    if not _same_images(one, other):
        return NotMeasured(reason="not scored on the same labels")
    seeds = (len(one.values), len(other.values))
    if min(seeds) > 1:
        paired = one.trainings == other.trainings != ()
        half = _paired(one, other) if paired else _welch(one, other)
        return Difference(estimate=estimate, low=estimate - half, high=estimate + half, by="seeds", seeds=seeds)
    if one.resampled is None or other.resampled is None:
        return NotMeasured(reason="one seed, and too few images for an interval")
    drawn = one.resampled.mean(axis=0) - other.resampled.mean(axis=0)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(estimate=estimate, low=float(low), high=float(high), by="images", seeds=seeds)


def _same_images(one: Sample, other: Sample) -> bool:
    if one.labeled is None or other.labeled is None:
        return one.labeled is other.labeled
    return np.array_equal(one.labeled, other.labeled)


def _welch(one: Sample, other: Sample) -> float:
    """Half the width of Welch's interval of the difference of two means."""
    parts = [np.var(sample.values, ddof=1) / len(sample.values) for sample in (one, other)]
    variance = sum(parts)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(
        part**2 / (len(sample.values) - 1) for part, sample in zip(parts, (one, other), strict=True)
    )
    return float(stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(variance))


def _paired(one: Sample, other: Sample) -> float:
    """Half the width of the t interval of the mean of the differences, training by training."""
    gaps = np.subtract(one.values, other.values)
    return float(stdtrit(len(gaps) - 1, (1 + LEVEL) / 2) * np.std(gaps, ddof=1) / np.sqrt(len(gaps)))
