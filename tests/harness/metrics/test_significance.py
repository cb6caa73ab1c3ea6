"""Differences of two figures and their intervals, against figures computed by hand."""

import numpy as np
import pytest

from harness.metrics.significance import Difference, Sample, counted, difference, interval
from harness.system.quantities import NotMeasured

LABELS = np.full((20, 2), 100, dtype=np.int64)
STEPS = np.arange(101.0)  # its 2.5th and 97.5th percentiles are 2.5 and 97.5


def scored(*values: float, seeds: tuple[int, ...] = (0,), labeled: np.ndarray = LABELS) -> Sample:
    """A score of some seeds, the same in every draw of blocks."""
    drawn = np.repeat(np.array(values)[:, None], 101, axis=1)
    return Sample(values=values, noise="images", seeds=seeds, resampled=drawn, labeled=labeled)


def timed(value: float, spread: float, processes: int = 3) -> Sample:
    return Sample(values=(value,), noise="rounds", spread=spread, processes=processes)


def found(one: Sample, other: Sample) -> Difference:
    gap = difference(one, other)
    assert isinstance(gap, Difference)
    return gap


class TestScores:
    def test_one_seed_each_takes_the_paired_draws_of_blocks(self) -> None:
        one = Sample(values=(50.0,), noise="images", resampled=STEPS[None] + 7, labeled=LABELS)
        gap = found(one, scored(7.0))
        assert (gap.estimate, gap.low, gap.high) == pytest.approx((43.0, 2.5, 97.5))
        assert (gap.by, gap.seeds) == ("images", (1, 1))

    def test_seeds_that_both_have_are_paired_and_the_others_left_out(self) -> None:
        gap = found(scored(90.0, 60.0, 70.0, seeds=(0, 1, 2)), scored(50.0, 55.0, seeds=(1, 2)))
        # 60 - 50 and 70 - 55
        assert (gap.estimate, gap.low, gap.high) == (12.5, 10.0, 15.0)
        assert (gap.by, gap.seeds, gap.paired) == ("seeds", (2, 2), True)

    def test_without_a_seed_in_common_all_are_taken(self) -> None:
        gap = found(scored(60.0, 70.0, seeds=(0, 1)), scored(50.0, seeds=(2,)))
        assert (gap.estimate, gap.low, gap.high) == (15.0, 10.0, 20.0)
        assert (gap.seeds, gap.paired) == ((2, 1), False)

    def test_too_few_images_or_other_labels_have_no_difference(self) -> None:
        few = Sample(values=(2.0,), noise="images", labeled=LABELS)
        assert difference(few, few) == NotMeasured(reason="too few images for an interval")
        gap = difference(scored(2.0), scored(1.0, labeled=LABELS + 1))
        assert gap == NotMeasured(reason="not scored on the same labels")
        assert interval(few) is None

    def test_interval_of_a_mean_over_seeds(self) -> None:
        own = interval(scored(60.0, 70.0, seeds=(0, 1)))
        assert own is not None
        assert (own.estimate, own.low, own.high) == (65.0, 60.0, 70.0)

    def test_minus_and_times_are_seed_by_seed_and_draw_by_draw(self) -> None:
        lead = scored(30.0, 34.0, seeds=(0, 1)).minus(scored(80.0, 90.0, seeds=(0, 1)))
        assert lead.values == (-50.0, -56.0)
        assert lead.resampled is not None and lead.resampled[:, 0].tolist() == [-50.0, -56.0]
        assert lead.std == pytest.approx(18**0.5)
        half = lead.times(0.5)
        assert half.values == (-25.0, -28.0)
        assert half.resampled is not None and half.resampled[1, 0] == -28.0


class TestTimesAndCounts:
    def test_faster_only_beyond_twice_the_larger_spread(self) -> None:
        gap = found(timed(105.0, 3.0), timed(81.8, 2.0))
        assert (gap.estimate, gap.low, gap.high) == pytest.approx((23.2, 17.2, 29.2))
        assert found(timed(105.0, 3.0), timed(99.5, 2.0)).is_tie

    def test_few_processes_need_six_percent_whatever_their_rounds(self) -> None:
        gap = found(timed(100.0, 0.01, processes=1), timed(93.0, 0.01))
        assert (gap.by, gap.low, gap.high) == ("margin", pytest.approx(1.0), pytest.approx(13.0))
        assert found(timed(100.0, 0.01, processes=2), timed(95.0, 0.01)).is_tie
        assert found(timed(100.0, 5.0, processes=1), timed(93.0, 0.01)).is_tie

    def test_counts_have_no_width_and_ties_survive_binary_fractions(self) -> None:
        assert found(counted(0.1 + 0.2), counted(0.3)).estimate == 0.0
        gap = found(counted(117.0), counted(83.0))
        assert (gap.low, gap.high, gap.by) == (34.0, 34.0, "nothing")
