"""What a reviewer asks of scores, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

import datasets
from harness.config.protocol import Protocol
from harness.config.suite import load_suite
from harness.records.run import History
from harness.report import write_reports
from harness.report.checks import Published, checks, loss_change
from harness.report.checks_tables import checks_notes, checks_text, published_miou
from harness.report.collect import collect
from harness.report.groups import Group
from tests.harness.report.conftest import PART_OF_VGG
from tests.harness.report.made_up import WHOLE, Store, matrix

CAMVID = datasets.info("camvid")


def history(losses: list[float]) -> History:
    count = len(losses)
    return History(iteration=list(range(1, count + 1)), loss=losses, lr=[0.1] * count, validation=[])


def made(store: Store, protocol: Protocol, test: np.ndarray, train: np.ndarray | None = None) -> Group:
    spec = store.spec("segnet", protocol=protocol, weights=PART_OF_VGG)
    store.run(spec, {"half": WHOLE, "end": test}, train=train)
    (group,) = collect(store.results, load_suite("camvid")).groups
    return group


def row(group: Group, published: Published | None = None) -> "pd.Series[float]":
    return checks(group, CAMVID, published or Published()).iloc[0]


class TestLossChange:
    def test_the_last_tenth_against_the_one_before(self) -> None:
        change = loss_change(history([9.0] * 80 + [2.0] * 10 + [1.0] * 10))
        assert change is not None
        assert (change.last, change.before, change.share) == (1.0, 2.0, -0.5)

    def test_too_short_to_tell(self) -> None:
        assert loss_change(history([])) is None
        assert loss_change(history([1.0])) is None


class TestChecks:
    def test_a_shortfall_is_split_by_the_training_images(self, store: Store, camvid: Protocol) -> None:
        half = np.stack([matrix([50, *[100] * 10], wrong=50)] * 20)
        found = row(made(store, camvid, half, train=WHOLE), Published(test={"SegNet": 110.0}))
        test = 100 * (0.5 + 100 / 150 + 9) / 11
        assert found["test"] == pytest.approx(test)
        assert (found["train"], found["not_learnt"]) == (100.0, 10.0)
        assert found["lost"] == pytest.approx(100 - test)
        assert found["shortfall"] == pytest.approx(found["not_learnt"] + found["lost"])

    def test_classes_that_are_never_or_hardly_right(self, store: Store, camvid: Protocol) -> None:
        values = matrix([100] * 11)
        values[2] = [100, *[0] * 10]  # poles: taken for sky, and nothing else for poles
        values[6, 6], values[6, 3] = 1, 199  # signs: one pixel of 200 is right
        found = row(made(store, camvid, np.stack([values] * 20)))
        assert (found["never"], found["hardly"]) == (CAMVID.classes[2], CAMVID.classes[6])
        assert found["others"] == pytest.approx(100 * (100 / 200 + 100 / 299 + 7) / 9)

    def test_nothing_is_wrong_with_a_perfect_network(self, store: Store, camvid: Protocol) -> None:
        group = made(store, camvid, WHOLE)
        frame = checks(group, CAMVID, Published())
        assert (frame.loc[0, "never"], frame.loc[0, "hardly"]) == ("", "")
        assert "mIoU of the other classes" not in checks_text(frame)
        assert not any("wrong" in note for note in checks_notes(group, CAMVID, frame))

    def test_train_below_test_is_said(self, store: Store, camvid: Protocol) -> None:
        half = np.stack([matrix([50, *[100] * 10], wrong=50)] * 20)
        group = made(store, camvid, WHOLE, train=half)
        notes = checks_notes(group, CAMVID, checks(group, CAMVID, Published()))
        assert any("Looks wrong" in note and "SegNet" in note for note in notes)


class TestNotes:
    def test_a_loss_that_still_falls_is_named(self, store: Store, camvid: Protocol) -> None:
        group = made(store, camvid, WHOLE)
        frame = checks(group, CAMVID, Published()).assign(loss_change=-2.0)
        assert "Still falling: every network." in checks_notes(group, CAMVID, frame)[0]
        flat = checks_notes(group, CAMVID, frame.assign(loss_change=-0.5))[0]
        assert "flat for every network" in flat and "schedule is over" not in flat

    def test_a_schedule_that_ends_makes_any_loss_flat(self, store: Store, camvid: Protocol) -> None:
        group = made(store, camvid.override({"lr_scheduler": "warmup-cosine"}), WHOLE)
        frame = checks(group, CAMVID, Published()).assign(loss_change=-0.5)
        assert "the schedule is over" in checks_notes(group, CAMVID, frame)[0]

    def test_what_training_images_do_not_hold_back_is_left_to_the_rest(self, store: Store, camvid: Protocol) -> None:
        reduced = camvid.override({"size": "90x120"})
        group = made(store, reduced, WHOLE)
        text = " ".join(checks_notes(group, CAMVID, checks(group, CAMVID, Published(test={"SegNet": 101.0}))))
        assert "input 90 x 120 instead of 360 x 480" in text
        assert "an encoder that starts from VGG16 conv1-conv3" in text
        assert "367 of 3433 images here" in text


class TestPublished:
    def test_the_row_that_the_group_shows(self, store: Store, camvid: Protocol) -> None:
        found = published_miou(made(store, camvid, WHOLE), CAMVID, "table3")
        assert found.test["SegNet"] == 57.18 and not found.train

    def test_a_balancing_s_own_figures(self, store: Store, decoders: Protocol) -> None:
        store.run(store.spec("segnet-basic", protocol=decoders), {"end": WHOLE})
        (group,) = collect(store.results, load_suite("decoders")).groups
        found = published_miou(group, CAMVID, "table1")
        assert found.test["Bilinear-Interpolation"] == 43.3
        assert found.train["Bilinear-Interpolation"] == 82.7
        frame = checks(group, CAMVID, found)
        assert frame.loc[0, "unfitted"] == pytest.approx(92.7 - 100)
        assert "its networks had fitted" not in " ".join(checks_notes(group, CAMVID, frame))
        worse = frame.assign(train=50.0, unfitted=42.7)
        assert "points more than ours: its networks had fitted" in " ".join(checks_notes(group, CAMVID, worse))

    def test_none_of_other_recipes(self, store: Store, camvid: Protocol) -> None:
        assert published_miou(made(store, camvid, WHOLE), CAMVID, "none") == Published()


def test_the_page_shows_them(store: Store, camvid: Protocol) -> None:
    made(store, camvid, WHOLE)
    reports = store.results.parent / "reports"
    write_reports(store.results, reports, ["camvid"])
    page = (reports / "camvid" / "README.md").read_text("utf-8")
    assert "#### What these scores rest on" in page
    assert len(list(reports.glob("camvid/*/checks.csv"))) == 1
