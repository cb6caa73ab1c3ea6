"""Ties in tables, and scores as samples."""

import numpy as np
import pytest

import datasets
from harness.config.protocol import Protocol
from harness.config.run_spec import InitialWeights
from harness.config.suite import load_suite
from harness.paper.claims import Sample
from harness.report import accuracy
from harness.report.accuracy_tables import per_class_files, splits_files, table3_files
from harness.report.collect import collect
from harness.report.groups import Group
from harness.report.samples import sample, tied
from tests.harness.report.made_up import FIRST, PART, SECOND, WHOLE, Store

LABELS = np.full((20, 2), 100, dtype=np.int64)


def only_group(store: Store) -> Group:
    (group,) = collect(store.results, load_suite("camvid")).groups
    return group


def seeds(*values: float) -> Sample:
    return Sample(values=values, noise="images", labeled=LABELS)


class TestTied:
    def test_the_highest_and_what_cannot_be_told_from_it(self) -> None:
        # Welch's half widths are about 6 points for (80, 82) against another pair two apart
        found = {0: seeds(80.0, 82.0), 1: seeds(78.0, 80.0), 2: seeds(60.0, 62.0)}
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
        assert found.resampled.shape == (2, 2000)
        assert np.unique(found.resampled[1]).tolist() == [100.0]
        bf = sample(only_group(store).of("segnet"), "test", "end", "BF")
        assert bf is not None
        assert bf.mean == pytest.approx(50.0)

    def test_none_where_not_scored(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        runs = only_group(store).of("segnet")
        assert sample(runs, "test", "20K", "G") is None
        assert sample(runs, "val", "end", "BF") is None
        assert sample([], "test", "end", "G") is None


class TestTables:
    def test_ties_are_marked_by_checkpoint(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": FIRST, "end": WHOLE})
        store.run(store.spec("deconvnet", protocol=camvid), {"half": SECOND, "end": PART})
        group, dataset = only_group(store), datasets.info("camvid")
        frame = accuracy.table3(group, dataset)
        shown = frame[frame["status"].eq("finished")].set_index(["checkpoint", "network"])["G_tie"]
        assert shown["half"].to_dict() == {"SegNet": True, "DeconvNet": True}
        assert shown["end"].to_dict() == {"SegNet": False, "DeconvNet": False}
        text = table3_files(group, dataset, frame)["table3.md"]
        assert "| 98.18 [96.4, 100.0] = |" in text
        assert "| 100.00 [100.0, 100.0] |" in text
        assert "`=`: a tie" in text

    def test_no_word_of_ties_where_there_is_none(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        group, dataset = only_group(store), datasets.info("camvid")
        text = table3_files(group, dataset, accuracy.table3(group, dataset))["table3.md"]
        assert "a tie" not in text
        assert " = |" not in text

    def test_splits_and_classes_have_seeds_spread_and_initial_weights(self, store: Store, camvid: Protocol) -> None:
        weights = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16 conv1-conv3")
        for seed, values in enumerate((PART, WHOLE)):
            spec = store.spec("segnet", protocol=camvid, seed=seed, weights=weights)
            store.run(spec, {"half": values, "end": values}, layers=(("conv1_1", "conv1_2"), 13))
        group, dataset = only_group(store), datasets.info("camvid")
        splits = splits_files(group, dataset, accuracy.splits(group))
        # G is 96.36 and 100: mean 98.18, standard deviation 3.64 / sqrt(2)
        assert "| SegNet | loaded: 2 of 13 layers | 2 |" in splits["splits.md"]
        assert "| 98.18 ± 2.57 |" in splits["splits.md"]
        assert "VGG16 conv1-conv3" in splits["splits.csv"]
        classes = per_class_files(group, dataset, accuracy.per_class(group, dataset))
        assert "- SegNet: seeds 2, initial weights loaded: 2 of 13 layers" in classes["per-class.md"]
        assert f"| {dataset.classes[0]} | 80.0 ± 28.3 |" in classes["per-class.md"]
        assert "initial_weights" in classes["per-class.csv"].splitlines()[0]

    def test_drawn_fully_connected_layers_have_a_mark_and_a_note(self, store: Store, camvid: Protocol) -> None:
        """Of FCN-8s the file held none, DeconvNet's cannot be loaded, SegNet has none."""
        weights = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16 conv1-conv3")
        some, all_of_them = ("conv1_1", "conv1_2"), ("conv1_1", "fc6", "fc7")
        for name, layers in (
            ("segnet", (some, 13)),
            ("fcn8s", (some, 15)),
            ("deeplab-largefov", (all_of_them, 15)),
            ("deconvnet", (some, 13)),
        ):
            spec = store.spec(name, protocol=camvid, weights=weights)
            store.run(spec, {"half": PART, "end": WHOLE}, layers=layers)
        group, dataset = only_group(store), datasets.info("camvid")
        frame = accuracy.table3(group, dataset)
        drawn = frame.drop_duplicates("architecture").set_index("architecture")["layers_drawn"]
        assert drawn.dropna().to_dict() == {"fcn8s": "fc6, fc7", "deconvnet": "fc6, fc7"}
        files = table3_files(group, dataset, frame)
        files |= splits_files(group, dataset, accuracy.splits(group))
        files |= per_class_files(group, dataset, accuracy.per_class(group, dataset))
        for name in ("table3.md", "splits.md", "per-class.md"):
            assert "loaded: 2 of 15 layers †" in files[name] and "loaded: 2 of 13 layers †" in files[name]
            assert "loaded: 3 of 15 layers" in files[name] and "3 of 15 layers †" not in files[name]
            assert files[name].count("`†`: fc6, fc7 drawn (He et al.), not loaded.") == 1
        assert "2 of 15 layers \\dag{}" in files["table3.tex"] and "†" not in files["table3.tex"]

    def test_networks_that_loaded_nothing_have_no_mark(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("fcn8s", protocol=camvid), {"half": PART, "end": WHOLE})
        group, dataset = only_group(store), datasets.info("camvid")
        assert "†" not in table3_files(group, dataset, accuracy.table3(group, dataset))["table3.md"]
