"""Differences of two figures and their intervals, against figures computed by hand and by scipy."""

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from harness.paper.claims import Difference, Sample, counted, difference
from harness.system.quantities import NotMeasured

LABELS = np.full((20, 2), 100, dtype=np.int64)


def scored(*values: float, resampled: np.ndarray | None = None, labeled: np.ndarray = LABELS) -> Sample:
    return Sample(values=values, noise="images", resampled=resampled, labeled=labeled)


def trained(*values: float, by: str) -> Sample:
    return Sample(values=values, noise="images", labeled=LABELS, trainings=tuple(by))


def timed(value: float, spread: float | None) -> Sample:
    return Sample(values=(value,), noise="rounds", spread=spread)


def found(one: Sample, other: Sample) -> Difference:
    gap = difference(one, other)
    assert isinstance(gap, Difference)
    return gap


class TestSeeds:
    def test_two_and_two_by_hand(self) -> None:
        gap = found(scored(80.0, 82.0), scored(70.0, 72.0))
        # variance 2 each: standard error sqrt(2/2 + 2/2), 2 degrees of freedom, t = 4.3027
        assert gap.estimate == pytest.approx(10.0)
        assert (gap.low, gap.high) == pytest.approx((10 - 6.0849, 10 + 6.0849), abs=1e-4)
        assert (gap.by, gap.seeds) == ("seeds", (2, 2))
        assert not gap.is_tie

    def test_unequal_spreads_and_numbers_as_scipy(self) -> None:
        one, other = (80.0, 82.0, 84.0), (76.0, 77.0, 78.0, 81.0)
        gap = found(scored(*one), scored(*other))
        expected = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
        assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))
        assert gap.is_tie

    def test_seeds_that_agree_exactly_have_no_width(self) -> None:
        gap = found(scored(80.0, 80.0), scored(79.0, 79.0))
        assert (gap.low, gap.high) == (1.0, 1.0)
        assert found(scored(80.0, 80.0), scored(80.0, 80.0)).is_tie


class TestTrainings:
    def test_the_same_trainings_are_paired_as_by_scipy(self) -> None:
        one, other = (80.0, 85.0, 90.5), (79.0, 83.5, 89.0)
        gap = found(trained(*one, by="abc"), trained(*other, by="abc"))
        expected = ttest_rel(one, other).confidence_interval(0.95)
        assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))
        assert not gap.is_tie
        assert (gap.by, gap.seeds) == ("seeds", (3, 3))

    def test_other_trainings_are_not(self) -> None:
        one, other = (80.0, 85.0, 90.5), (79.0, 83.5, 89.0)
        for by in ("abd", "acb"):
            gap = found(trained(*one, by="abc"), trained(*other, by=by))
            expected = ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
            assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))
            assert gap.is_tie


class TestImages:
    def test_one_seed_each_takes_the_paired_resamples(self) -> None:
        # of 0, 1, ..., 100 the 2.5th and 97.5th percentiles are 2.5 and 97.5
        one = scored(50.0, resampled=np.arange(101.0)[None] + 7)
        other = scored(1.0, resampled=np.full((1, 101), 7.0))
        gap = found(one, other)
        assert (gap.estimate, gap.low, gap.high) == pytest.approx((49.0, 2.5, 97.5))
        assert gap.by == "images"

    def test_several_seeds_against_one(self) -> None:
        # the mean of both seeds is resampled; seeds of the other network alone say nothing of this one's
        one = scored(2.0, 4.0, resampled=np.array([[0.0] * 101, np.arange(101.0) * 2]))
        gap = found(one, scored(1.0, resampled=np.zeros((1, 101))))
        assert (gap.estimate, gap.low, gap.high) == pytest.approx((2.0, 2.5, 97.5))
        assert gap.seeds == (2, 1)

    def test_too_few_images(self) -> None:
        gap = difference(scored(2.0), scored(1.0))
        assert gap == NotMeasured(reason="one seed, and too few images for an interval")

    def test_other_labels_are_refused(self) -> None:
        gap = difference(scored(2.0, 3.0), scored(1.0, 2.0, labeled=LABELS + 1))
        assert gap == NotMeasured(reason="not scored on the same labels")


class TestRoundsAndCounts:
    def test_faster_only_beyond_twice_the_larger_spread(self) -> None:
        gap = found(timed(105.0, 3.0), timed(81.8, 2.0))
        assert (gap.estimate, gap.low, gap.high) == pytest.approx((23.2, 17.2, 29.2))
        assert found(timed(105.0, 3.0), timed(99.5, 2.0)).is_tie

    def test_one_round_has_no_spread(self) -> None:
        assert isinstance(difference(timed(105.0, None), timed(81.8, 2.0)), NotMeasured)

    def test_counts_have_no_width_and_ties_survive_binary_fractions(self) -> None:
        assert found(counted(0.1 + 0.2), counted(0.3)).estimate == 0.0
        gap = found(counted(117.0), counted(83.0))
        assert (gap.low, gap.high) == (34.0, 34.0)


def test_minus_is_seed_by_seed() -> None:
    bf = scored(30.0, 34.0, resampled=np.array([[1.0, 2.0], [3.0, 4.0]]))
    g = scored(80.0, 90.0, resampled=np.array([[5.0, 5.0], [5.0, 5.0]]))
    lead = bf.minus(g)
    assert lead.values == (-50.0, -56.0)
    assert lead.resampled is not None
    assert lead.resampled.tolist() == [[-4.0, -3.0], [-2.0, -1.0]]
    assert lead.std == pytest.approx(18**0.5)
    assert counted(1.0).std is None
