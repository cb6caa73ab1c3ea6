"""Tables 3, overview, splits, classes and worst images, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

import datasets
from harness import paper
from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.metrics.significance import Sample
from harness.records.run import Failure, History
from harness.report.accuracy import confusion, scored_at, tied
from harness.report.card import card
from harness.report.collect import collect
from harness.report.sections import Section, sections
from harness.report.tables.overview import overview
from harness.report.tables.per_class import class_grid
from harness.report.tables.render import signed
from harness.report.tables.spec import Table, tables_of
from harness.report.tables.splits import loss_change
from tests.harness.report.made_up import C_PART, FIRST, G_PART, MIOU_PART, PART, SECOND, WHOLE, Store, matrix, right
from tests.harness.report.made_up import row as only_row

BOTH = {"half": PART, "end": WHOLE}


def section(store: Store, suite: str = "camvid") -> Section:
    """The only one of a suite."""
    (only,) = sections(collect(store.results, load_suite(suite)))
    return only


def table(store: Store, name: str = "table3", suite: str = "camvid") -> Table:
    return next(one for one in tables_of(section(store, suite), "scores") if one.spec.name == name)


def row(frame: pd.DataFrame, network: str, checkpoint: str) -> pd.Series:
    return only_row(frame, network=network, checkpoint=checkpoint)


class TestTable3:
    def test_paper_ours_and_difference(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), BOTH, bf=0.5)
        found = row(table(store).frame, "SegNet", "half")
        assert found["G_paper"] == 88.81
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["G_difference"] == pytest.approx(96.363636 - 88.81)
        assert found["C_difference"] == pytest.approx(C_PART - 59.93)
        assert found["mIoU_difference"] == pytest.approx(93.766234 - 50.02)
        assert found["BF_difference"] == pytest.approx(14.22)
        assert found["image mIoU_ours"] == pytest.approx(MIOU_PART)
        assert (found["iterations"], found["paper_iterations"]) == ("4,280", 40_000)

    def test_one_seed_has_an_interval_and_several_one_over_seeds(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": FIRST, "end": WHOLE})
        found = row(table(store).frame, "SegNet", "half")
        # ten images of twenty are worse: 95 % of the resamples hold 6 to 14 of them
        low, high = (100 - (100 - G_PART) * worse / 20 for worse in (14, 6))
        assert (found["G_low"], found["G_high"]) == (pytest.approx(low), pytest.approx(high))
        assert np.isnan(found["G_std"])
        store.run(store.spec("segnet", protocol=camvid, seed=1), {"half": WHOLE, "end": PART})
        found = row(table(store).frame, "SegNet", "end")
        assert found["seeds"] == 2
        assert found["G_ours"] == pytest.approx((G_PART + 100) / 2)
        assert found["G_std"] == pytest.approx((100 - G_PART) / 2**0.5)
        # both runs are alike in all images, so that a draw of two seeds is one of them twice, or both
        assert (found["G_low"], found["G_high"]) == (pytest.approx(G_PART), pytest.approx(100))

    def test_best_by_val_stands_last_and_may_differ_between_seeds(self, store: Store, camvid: Protocol) -> None:
        for seed, best in ((0, "half"), (1, "end")):
            store.run(store.spec("segnet", protocol=camvid, seed=seed), BOTH, best=best)
        frame = table(store).frame
        assert list(frame["checkpoint"][frame["network"] == "SegNet"]) == ["half", "end", "best by val"]
        found = row(frame, "SegNet", "best by val")
        assert (found["iterations"], found["mIoU_paper"]) == ("4,280 to 8,560", 60.10)
        assert found["mIoU_ours"] == pytest.approx((MIOU_PART + 100) / 2)

    def test_rows_that_were_not_run_failed_or_are_not_the_papers(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("smp:Unet/resnet34", protocol=camvid), BOTH)
        store.failed(store.spec("segnet", protocol=camvid), Failure(kind="diverged", message="NaN", iteration=3))
        frame = table(store).frame
        missing = row(frame, "DeepLab-LargeFOV-denseCRF", "best by val")
        assert (missing["status"], missing["G_paper"]) == ("not run", 89.71)
        assert np.isnan(missing["G_difference"])
        assert row(frame, "SegNet", "half")["status"] == "failed (diverged)"
        other = row(frame, "smp:Unet/resnet34", "end")
        assert other["G_ours"] == pytest.approx(100) and np.isnan(other["G_paper"])

    def test_absent_class_is_left_out_and_counted(self, store: Store, camvid: Protocol) -> None:
        absent = np.stack([matrix([60, *[100] * 9, 0], wrong=40)] * 20)
        store.run(store.spec("segnet", protocol=camvid), {"half": absent, "end": absent})
        made = table(store)
        found = row(made.frame, "SegNet", "end")
        assert found["C_ours"] == pytest.approx(100 * 9.6 / 10)
        assert found["C_all_classes"] == pytest.approx(100 * 9.6 / 11)
        assert (found["C_over_classes"], found["classes"]) == (10, 11)
        assert "absent" in made.notes

    def test_best_and_what_is_not_told_from_it(self, store: Store, camvid: Protocol) -> None:
        for name, values in (("segnet", FIRST), ("fcn8s", SECOND), ("deconvnet", right(5))):
            store.run(store.spec(name, protocol=camvid), {"half": WHOLE, "end": values})
        found = table(store).frame
        marks = {name: row(found, name, "end")["mIoU_best"] for name in ("SegNet", "FCN (learnt deconv)", "DeconvNet")}
        assert marks == {"SegNet": True, "FCN (learnt deconv)": True, "DeconvNet": False}
        text = table(store).text
        cells = dict(zip(text["network"] + text["checkpoint"], text["mIoU %"], strict=True))
        assert cells["SegNetend"].startswith("**") and not cells["DeconvNetend"].startswith("**")

    def test_nothing_is_best_where_there_are_too_few_images_to_test(self, store: Store, camvid: Protocol) -> None:
        for name, values in (("segnet", WHOLE), ("fcn8s", PART)):
            store.run(store.spec(name, protocol=camvid), {"end": values[:9]})
        made = table(store)
        assert made.frame["mIoU_tie"].any() and not made.frame["mIoU_best"].any()
        assert "bold" not in made.notes and not made.text["mIoU %"].str.contains("*", regex=False).any()

    def test_drawn_data_has_no_column_of_the_paper(self, store: Store, quick: Protocol) -> None:
        store.run(store.spec("segnet", protocol=quick), {"end": PART})
        made = table(store, suite="quick")
        assert set(made.frame["network"]) == {"SegNet"}
        assert not [name for name in made.frame if "paper" in name or "difference" in name]
        theirs = {f"{value:.2f}" for one in paper.accuracies() for value in one.scores.values()}
        assert not theirs & set(made.text.to_numpy().ravel())
        assert not any(setting.paper for setting in card(made.section))

    def test_files_say_what_they_are_of(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid.override({"size": "90x120"})), BOTH)
        files = table(store).files("A caption")
        assert set(files) == {"table3.csv", "table3.tex"}
        head, first = files["table3.csv"].splitlines()[:2]
        assert head.startswith("protocol,data,data_sha256,precision,reduced,difference,network")
        assert "input 90 x 120 instead of 360 x 480,not like for like: 367 of 3433 images,SegNet" in first
        assert "not like for like" in files["table3.tex"] and "88.81" in files["table3.tex"]


class TestOverview:
    def test_scores_and_costs_with_the_highest_first(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("deconvnet", protocol=camvid), {"half": WHOLE, "end": PART})
        store.run(store.spec("segnet", protocol=camvid), BOTH, bf=0.4, parameters=29_449_355)
        store.measurement("segnet", device="cuda", preset="lease", energy_mj=800.0, forward_ms=9.5, inference_mib=200)
        frame = overview(section(store))
        assert list(frame["network"]) == ["SegNet", "DeconvNet"]
        found = frame.iloc[0]
        assert found["mIoU_difference"] == pytest.approx(100 - 57.18)
        assert (found["parameters"], found["latency_ms"]) == (29_449_355, 9.5)
        assert found["energy_j"] == pytest.approx(0.8)
        assert found["memory_mib"] > 0 and np.isnan(frame.iloc[1]["memory_mib"])
        made = table(store, "overview")
        assert "fp32 without TF32" in made.notes["costs"]
        assert next(iter(made.text["BF %"])) == "40.00"

    def test_on_a_cpu_memory_is_that_of_live_tensors(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), BOTH)
        store.measurement("segnet", inference_mib=199)
        assert overview(section(store)).iloc[0]["memory_mib"] == pytest.approx(199)

    def test_fcn_without_padding_is_said(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("fcn8s", protocol=camvid), BOTH)
        assert "fcn-padding" not in table(store, "overview").notes
        store.measurement("fcn8s")
        assert "fcn-padding" in table(store, "overview").notes


class TestSplits:
    def test_loss_of_the_last_tenth_against_the_one_before(self) -> None:
        def history(losses: list[float]) -> History:
            count = len(losses)
            return History(iteration=list(range(1, count + 1)), loss=losses, lr=[0.1] * count, validation=[])

        assert loss_change(history([9.0] * 80 + [2.0] * 10 + [1.0] * 10)) == (1.0, -0.5)
        assert loss_change(history([])) is None
        assert loss_change(history([1.0])) is None

    def test_train_minus_test_and_the_gap_to_the_paper(self, store: Store, camvid: Protocol) -> None:
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": PART}, train=WHOLE)
        found = table(store, "splits").frame.iloc[0]
        assert (found["train_mIoU"], found["test_mIoU"]) == (pytest.approx(100), pytest.approx(MIOU_PART))
        assert found["train_minus_test"] == pytest.approx(100 - MIOU_PART)
        assert found["paper_minus_test"] == pytest.approx(57.18 - MIOU_PART)
        assert not [name for name in found.index if "learnt" in name]

    def test_classes_that_are_never_or_hardly_right(self, store: Store, camvid: Protocol) -> None:
        values = matrix([100] * 11)
        values[2] = [100, *[0] * 10]  # poles: taken for sky, and nothing else for poles
        values[6, 6], values[6, 3] = 1, 199  # signs: one pixel of 200 is right
        store.run(store.spec("segnet", protocol=camvid), {"half": WHOLE, "end": np.stack([values] * 20)})
        found = table(store, "splits").frame.iloc[0]
        classes = datasets.info("camvid").classes
        assert (found["never"], found["hardly"]) == (classes[2], classes[6])
        assert found["others"] == pytest.approx(100 * (100 / 200 + 100 / 299 + 7) / 9)

    def test_a_loss_over_cells_stands_in_a_column_of_its_own(self, store: Store, camvid: Protocol) -> None:
        for name in ("segnet", "deeplab-largefov"):
            store.run(store.spec(name, protocol=camvid), BOTH)
        text = table(store, "splits").text.set_index("network")
        losses = [str(head) for head in text if "loss" in str(head)]
        assert len(losses) == 2
        assert [text.loc["SegNet", head] == "–" for head in losses] == [False, True]
        assert [text.loc["DeepLab-LargeFOV", head] == "–" for head in losses] == [True, False]


def test_classes_and_confusion(store: Store, camvid: Protocol) -> None:
    absent = np.stack([matrix([60, *[100] * 9, 0], wrong=40)] * 20)
    store.run(store.spec("segnet", protocol=camvid), {"half": PART, "end": absent})
    frame = table(store, "per-class").frame
    names = ["accuracy", "iou", "dice", "precision", "recall", "bf"]
    assert frame.loc[0, names].tolist() == pytest.approx([60, 60, 75, 100, 60, 50])
    assert frame.loc[1, "iou"] == pytest.approx(100 * 100 / 140)
    grid = class_grid(frame, "iou").set_index("class")
    cells = list(grid["SegNet"])
    assert (cells[0], cells[10]) == ("60.0", "absent")
    shares = confusion(scored_at(section(store).group.of("segnet"), "test", "end"), 11)
    assert shares[0, :2].tolist() == [60, 40]
    assert np.isnan(shares[10]).all()


def test_the_twenty_images_with_the_lowest_miou(store: Store, camvid: Protocol) -> None:
    values = np.concatenate([WHOLE, PART[:1], WHOLE[:4]])
    store.run(store.spec("segnet", protocol=camvid), {"half": values, "end": values})
    frame = table(store, "worst-images").frame
    assert len(frame) == 20
    assert frame.loc[0, ["place", "image"]].tolist() == [1, 20]
    assert frame.loc[0, "miou"] == pytest.approx(MIOU_PART)
    assert (frame.loc[1:, "miou"] == 100).all()


def test_the_card_marks_what_differs_from_the_paper(store: Store, camvid: Protocol) -> None:
    store.run(store.spec("segnet", protocol=camvid.override({"lr": "0.5"}), precision="bf16"), BOTH)
    settings = {one.name: one for one in card(section(store))}
    assert settings["learning rate"].differs and settings["precision"].differs and settings["training images"].differs
    assert (settings["training images"].here, settings["training images"].paper) == ("367", "3,433")
    assert not settings["batch"].differs and not settings["input, pixels"].differs


def scored(mean: float, resampled: bool = True) -> Sample:
    draws = mean + np.linspace(-0.01, 0.01, 50)[None] if resampled else None
    return Sample(values=(mean,), noise="images", seeds=(0,), resampled=draws, labeled=np.ones((12, 2)))


def test_what_is_tested_and_lower_is_no_tie() -> None:
    assert tied({"a": scored(0.5), "b": scored(0.4)}) == set()


def test_where_nothing_can_be_tested_no_network_leads() -> None:
    few = {"a": scored(0.5, resampled=False), "b": scored(0.3, resampled=False)}
    assert tied(few) == {"a", "b"}


def test_a_difference_has_a_sign_unless_it_is_zero_as_shown() -> None:
    assert [signed(value) for value in (0.004, -0.004, 0.006, -1.5)] == ["0.00", "0.00", "+0.01", "−1.50"]
    assert signed(float("nan")) == "–"
