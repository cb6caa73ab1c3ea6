"""Ties, and scores as samples."""

import numpy as np
import pytest

from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.metrics.bootstrap import DRAWS
from harness.metrics.significance import Sample
from harness.report.collect import collect
from harness.report.grouping import Group
from harness.report.samples import class_samples, sample, tied
from tests.harness.report.made_up import PART, WHOLE, Store

LABELS = np.full((20, 2), 100, dtype=np.int64)


def only_group(store: Store) -> Group:
    (group,) = collect(store.results, load_suite("camvid")).groups
    return group


def seeds(*values: float) -> Sample:
    """The same in every draw of blocks."""
    drawn = np.repeat(np.array(values)[:, None], 400, axis=1)
    return Sample(values=values, noise="images", seeds=tuple(range(len(values))), resampled=drawn, labeled=LABELS)


class TestTied:
    def test_the_highest_and_what_cannot_be_told_from_it(self) -> None:
        # seed by seed the second is 2 behind and 1 ahead of the first, the third always behind
        found = {0: seeds(80.0, 82.0), 1: seeds(78.0, 83.0), 2: seeds(60.0, 62.0)}
        assert tied(found) == {0, 1}

    def test_none_where_the_highest_stands_alone(self) -> None:
        assert tied({0: seeds(80.0, 80.1), 1: seeds(60.0, 60.1)}) == set()
        assert tied({0: seeds(80.0, 80.1)}) == set()
        assert tied({}) == set()


class TestSample:
    def test_values_of_seeds_and_resamples_in_percent(self, store: Store, camvid: Protocol) -> None:
        for seed, values in enumerate((PART, WHOLE)):
            spec = store.spec("segnet", protocol=camvid, seed=seed)
            store.run(spec, {"half": values, "end": values}, bf=0.5)
        found = sample(only_group(store).of("segnet"), "test", "end", "G")
        assert found is not None
        assert found.values == pytest.approx((100 * 1060 / 1100, 100.0))
        assert found.resampled is not None
        assert found.resampled.shape == (2, DRAWS)
        assert found.seeds == (0, 1) and len(set(found.evaluations)) == 2
        assert np.unique(found.resampled[1]).tolist() == [100.0]
        bf = sample(only_group(store).of("segnet"), "test", "end", "BF")
        assert bf is not None
        assert bf.mean == pytest.approx(50.0)

    def test_iou_of_every_class(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": PART})
        first, second, *others = class_samples(only_group(store).of("segnet"), "test", "end")
        # of class 0 60 of 100 pixels are right, the others are taken for class 1
        assert (first.mean, second.mean) == (60.0, pytest.approx(100 * 100 / 140))
        assert first.resampled is not None and first.resampled.shape == (1, DRAWS)
        assert {one.mean for one in others} == {100.0}

    def test_none_where_not_scored(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        runs = only_group(store).of("segnet")
        assert sample(runs, "test", "20K", "G") is None
        assert sample(runs, "val", "end", "BF") is None
        assert sample([], "test", "end", "G") is None
        assert class_samples([], "test", "end") == []
