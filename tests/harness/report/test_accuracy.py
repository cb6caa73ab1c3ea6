"""Table 3 and its neighbors, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

import datasets
from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.records.run import Failure
from harness.report import accuracy
from harness.report.accuracy_tables import per_class_files, splits_files, table3_files
from harness.report.collect import collect
from harness.report.groups import Group
from tests.harness.report.made_up import PART, WHOLE, Store, matrix

G_PART = 100 * 1060 / 1100
C_PART = 100 * (0.6 + 10) / 11
MIOU_PART = 100 * (0.6 + 100 / 140 + 9) / 11


def only_group(store: Store, suite: str = "camvid") -> Group:
    (group,) = collect(store.results, load_suite(suite)).groups
    return group


def table3(store: Store, suite: str = "camvid") -> pd.DataFrame:
    group = only_group(store, suite)
    return accuracy.table3(group, datasets.info(group.protocol.dataset))


def row(frame: pd.DataFrame, network: str, checkpoint: str) -> pd.Series:
    (index,) = frame.index[(frame["network"] == network) & (frame["checkpoint"] == checkpoint)]
    return frame.loc[index]


class TestTable3:
    def test_paper_ours_and_difference(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE}, bf=0.5)
        found = row(table3(store), "SegNet", "half")
        assert found["G_paper"] == 88.81
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["G_difference"] == pytest.approx(96.363636 - 88.81)
        assert found["C_difference"] == pytest.approx(C_PART - 59.93)
        assert found["mIoU_ours"] == pytest.approx(MIOU_PART)
        assert found["mIoU_difference"] == pytest.approx(93.766234 - 50.02)
        assert found["BF_ours"] == pytest.approx(50)
        assert found["BF_difference"] == pytest.approx(14.22)
        assert found["iterations"] == "4,280"
        assert found["paper_iterations"] == 40_000

    def test_one_seed_has_an_interval_and_no_deviation(self, store: Store, camvid: Protocol) -> None:
        mixed = np.concatenate([PART[:10], WHOLE[:10]])
        store.run(store.spec("segnet", protocol=camvid), {"half": mixed, "end": WHOLE})
        found = row(table3(store), "SegNet", "half")
        # two blocks of ten images: a resample holds one of them twice, or both
        assert found["G_low"] == pytest.approx(G_PART)
        assert found["G_high"] == pytest.approx(100)
        assert np.isnan(found["G_std"])

    def test_several_seeds_have_mean_and_deviation(self, store: Store, camvid: Protocol) -> None:
        for seed, last in ((0, PART), (1, WHOLE)):
            spec = store.spec("segnet", protocol=camvid, seed=seed)
            store.run(spec, {"half": PART, "end": last})
        found = row(table3(store), "SegNet", "end")
        assert found["seeds"] == 2
        assert found["G_ours"] == pytest.approx((G_PART + 100) / 2)
        assert found["G_std"] == pytest.approx((100 - G_PART) / 2**0.5)
        assert np.isnan(found["G_low"])

    def test_best_by_val_stands_last_and_may_differ_between_seeds(self, store: Store, camvid: Protocol) -> None:
        for seed, best in ((0, "half"), (1, "end")):
            spec = store.spec("segnet", protocol=camvid, seed=seed)
            store.run(spec, {"half": PART, "end": WHOLE}, best=best)
        frame = table3(store)
        assert list(frame["checkpoint"][frame["network"] == "SegNet"]) == ["half", "end", "best by val"]
        found = row(frame, "SegNet", "best by val")
        assert found["iterations"] == "4,280 to 8,560"
        assert found["mIoU_ours"] == pytest.approx((MIOU_PART + 100) / 2)
        assert found["mIoU_paper"] == 60.10

    def test_rows_of_the_paper_that_were_not_run(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        found = row(table3(store), "DeepLab-LargeFOV-denseCRF", "best by val")
        assert found["status"] == "not run"
        assert found["G_paper"] == 89.71
        assert np.isnan(found["G_difference"])

    def test_network_that_the_paper_does_not_have(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("smp:Unet/resnet34", protocol=camvid), {"half": PART, "end": WHOLE})
        found = row(table3(store), "smp:Unet/resnet34", "end")
        assert found["G_ours"] == pytest.approx(100)
        assert np.isnan(found["G_paper"])

    def test_failed_run_stays_as_a_row(self, store: Store, camvid: Protocol) -> None:
        store.failed(store.spec("segnet", protocol=camvid), Failure(kind="diverged", message="NaN", iteration=3))
        group = only_group(store)
        frame = accuracy.table3(group, datasets.info("camvid"))
        assert row(frame, "SegNet", "half")["status"] == "failed (diverged)"
        text = table3_files(group, datasets.info("camvid"), frame)["table3.md"]
        assert "| SegNet | half | 40,000 | – | He et al. | 0 (1 failed) | 88.81 | failed (diverged) | – |" in text

    def test_absent_class_is_left_out_and_said(self, store: Store, camvid: Protocol) -> None:
        absent = np.stack([matrix([60, *[100] * 9, 0], wrong=40)] * 20)
        store.run(store.spec("segnet", protocol=camvid), {"half": absent, "end": absent})
        group = only_group(store)
        frame = accuracy.table3(group, datasets.info("camvid"))
        found = row(frame, "SegNet", "end")
        assert found["C_ours"] == pytest.approx(100 * 9.6 / 10)
        assert found["C_all_classes"] == pytest.approx(100 * 9.6 / 11)
        text = table3_files(group, datasets.info("camvid"), frame)["table3.md"]
        assert "| 10 of 11 | 87.27 |" in text
        assert "as the authors' script does" in text

    def test_no_class_columns_where_all_are_present(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        group = only_group(store)
        frame = accuracy.table3(group, datasets.info("camvid"))
        assert "11 of 11" not in table3_files(group, datasets.info("camvid"), frame)["table3.md"]

    def test_drawn_data_has_no_column_of_the_paper(self, store: Store, quick: Protocol) -> None:
        store.run(store.spec("segnet", protocol=quick), {"end": PART})
        frame = table3(store, "quick")
        assert set(frame["network"]) == {"SegNet"}
        assert not [name for name in frame if "paper" in name or "difference" in name]


class TestFiles:
    def test_difference_is_headed_by_what_it_is_not(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        group = only_group(store)
        dataset = datasets.info("camvid")
        files = table3_files(group, dataset, accuracy.table3(group, dataset))
        assert "| G %, difference (not like for like: 367 of 3433 images) |" in files["table3.md"]
        assert "G_difference_not_like_for_like_367_of_3433_images" in files["table3.csv"].splitlines()[0]
        assert "not like for like: 367 of 3433 images" in files["table3.tex"]
        assert "| 88.81 | 96.36 [96.4, 96.4] | +7.55 |" in files["table3.md"]
        assert "all 101 val frames" in files["table3.md"].lower()

    def test_csv_reads_back(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        group = only_group(store)
        dataset = datasets.info("camvid")
        path = store.results / "table3.csv"
        path.write_text(table3_files(group, dataset, accuracy.table3(group, dataset))["table3.csv"], "utf-8")
        back = pd.read_csv(path)
        assert back.loc[0, "protocol"] == "camvid-epochs@2"
        assert back.loc[0, "G_ours"] == pytest.approx(G_PART, abs=1e-4)
        assert back.loc[0, "images"] == 20

    def test_splits_never_share_a_column(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": WHOLE})
        group = only_group(store)
        frame = accuracy.splits(group)
        assert frame.loc[0, "val_mIoU"] == pytest.approx(100)
        heads = splits_files(group, datasets.info("camvid"), frame)["splits.md"].splitlines()
        (head,) = [line for line in heads if line.startswith("| network")]
        for split in ("train", "val", "test"):
            assert f"{split}: mIoU %" in head

    def test_per_class(self, store: Store, camvid: Protocol) -> None:
        absent = np.stack([matrix([60, *[100] * 9, 0], wrong=40)] * 20)
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": absent})
        group = only_group(store)
        dataset = datasets.info("camvid")
        frame = accuracy.per_class(group, dataset)
        assert frame.loc[0, "accuracy"] == pytest.approx(60)
        assert frame.loc[1, "iou"] == pytest.approx(100 * 100 / 140)
        text = per_class_files(group, dataset, frame)["per-class.md"]
        assert f"| {dataset.classes[0]} | 60.0 |" in text
        assert f"| {dataset.classes[10]} | absent |" in text

    def test_confusion_rows_sum_to_one(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": PART})
        shares = accuracy.confusion(only_group(store), "segnet")
        assert shares[0, :2].tolist() == [0.6, 0.4]
        assert shares.sum(axis=1) == pytest.approx(np.ones(11))
