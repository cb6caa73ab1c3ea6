"""Tables 4 and 5, against figures computed by hand."""

import numpy as np
import pandas as pd
import pytest

from harness import paper
from harness.config.protocol import Protocol, load_protocol
from harness.records.run import Failure
from harness.report.tables.table4 import table4, table5
from tests.harness.report.made_up import Store, matrix
from tests.harness.report.test_table3 import row, section

CLASSES = 37
# Of the wall's pixels 60 of 100 are right, the others are taken for floor; all else is right.
PART = np.stack([matrix([60, *[100] * 36], wrong=40)] * 20)
WHOLE = np.stack([matrix([100] * 37)] * 20)
G_PART = 100 * 3660 / 3700
C_PART = 100 * (0.6 + 36) / 37
MIOU_PART = 100 * (0.6 + 100 / 140 + 35) / 37
MEDIAN = "SegNet (median frequency balancing)"


@pytest.fixture
def sun() -> Protocol:
    """The sunrgbd suite's protocol."""
    return load_protocol("sunrgbd@2")


@pytest.fixture
def median(sun: Protocol) -> Protocol:
    """The same with median frequency balancing, as the suite's further row has it."""
    return sun.override({"class_weighting": "median"})


def frame(store: Store, suite: str = "sunrgbd") -> pd.DataFrame:
    return table4(section(store, suite))


def classes(store: Store) -> pd.DataFrame:
    return table5(section(store, "sunrgbd"))


class TestTable4:
    def test_paper_ours_and_difference(self, store: Store, sun: Protocol) -> None:
        store.run(store.spec("segnet", protocol=sun), {"80K": PART, "140K": WHOLE}, bf=0.5)
        found = row(frame(store), "SegNet", "80K")
        assert (found["paper_iterations"], found["iterations"]) == (80_000, "80,000")
        assert found["G_paper"] == 70.73
        assert found["G_ours"] == pytest.approx(G_PART)
        assert found["C_difference"] == pytest.approx(C_PART - 30.82)
        assert found["mIoU_ours"] == pytest.approx(MIOU_PART)
        assert found["BF_difference"] == pytest.approx(50 - 9.16)
        assert found["class_weighting"] == "natural"

    def test_rows_of_the_paper_that_were_not_run(self, store: Store, sun: Protocol) -> None:
        store.run(store.spec("segnet", protocol=sun), {"80K": PART, "140K": WHOLE})
        found = frame(store)
        for network, g in (("DeepLab-LargeFOV-denseCRF", 66.96), (MEDIAN, 71.75)):
            missing = row(found, network, "best by val")
            assert (missing["status"], missing["G_paper"]) == ("not run", g)
        assert len(found) == len(paper.sun_accuracies()) == 14

    def test_the_balanced_segnet_is_a_row_in_its_place(self, store: Store, sun: Protocol, median: Protocol) -> None:
        store.run(store.spec("segnet", protocol=sun), {"80K": PART, "140K": WHOLE})
        store.run(store.spec("deconvnet", protocol=sun), {"80K": PART, "140K": WHOLE})
        store.run(store.spec("segnet", protocol=median), {"80K": WHOLE, "140K": PART})
        found = frame(store)
        assert list(dict.fromkeys(found["network"])) == [
            "SegNet",
            MEDIAN,
            "DeepLab-LargeFOV",
            "DeepLab-LargeFOV-denseCRF",
            "FCN (learnt deconv)",
            "DeconvNet",
        ]
        best = row(found, MEDIAN, "best by val")
        assert best["G_ours"] == pytest.approx(G_PART)
        assert best["G_difference"] == pytest.approx(G_PART - 71.75)
        assert best["class_weighting"] == "median"
        assert np.isnan(row(found, MEDIAN, "80K")["G_paper"])
        assert row(found, "SegNet", "best by val")["G_paper"] == 72.63

    def test_the_balanced_segnet_alone(self, store: Store, median: Protocol) -> None:
        store.run(store.spec("segnet", protocol=median), {"80K": WHOLE, "140K": PART})
        found = frame(store)
        assert row(found, "SegNet", "80K")["status"] == "not run"
        assert row(found, MEDIAN, "140K")["G_ours"] == pytest.approx(G_PART)

    def test_failed_run_stays_as_a_row(self, store: Store, median: Protocol) -> None:
        failure = Failure(kind="diverged", message="NaN", iteration=3)
        store.failed(store.spec("segnet", protocol=median), failure)
        assert row(frame(store), MEDIAN, "best by val")["status"] == "failed (diverged)"


class TestPartOfSunRgbd:
    """NYU Depth v2: fixed iterations are not the paper's, so only the best rows stand beside each other."""

    def test_only_the_papers_best_rows(self, store: Store) -> None:
        nyu = load_protocol("nyuv2@1")
        balanced = nyu.override({"class_weighting": "median"})
        store.run(store.spec("segnet", protocol=nyu), {"half": PART, "end": WHOLE}, bf=0.5)
        store.run(store.spec("segnet", protocol=balanced), {"half": WHOLE, "end": PART})
        found = frame(store, "nyuv2")
        beside = found[found["G_paper"].notna()]
        assert set(beside["checkpoint"]) == {"best by val"} and len(beside) == 6
        assert {row.network for row in paper.sun_accuracies()} == set(beside["network"])
        assert set(found[found["status"] == "finished"]["network"]) == {"SegNet", MEDIAN}
        best = row(found, "SegNet", "best by val")
        assert (best["paper_iterations"], best["G_paper"]) == (240_000, 72.63)
        assert best["G_ours"] == pytest.approx(100)
        assert best["G_difference"] == pytest.approx(100 - 72.63)
        assert row(found, MEDIAN, "best by val")["G_difference"] == pytest.approx(G_PART - 71.75)
        for label, expected in (("half", G_PART), ("end", 100)):
            fixed = row(found, "SegNet", label)
            assert fixed["G_ours"] == pytest.approx(expected)
            assert np.isnan(fixed["G_paper"]) and np.isnan(fixed["G_difference"])
        assert not {"80K", "140K"} & set(found["checkpoint"])


class TestTable5:
    def test_classes_by_hand(self, store: Store, sun: Protocol) -> None:
        store.run(store.spec("segnet", protocol=sun), {"80K": WHOLE, "140K": PART})
        found = classes(store)
        assert len(found) == 38
        wall, average = found.iloc[0], found.iloc[-1]
        assert (wall["class"], wall["paper"], wall["labeled_pixels"]) == ("wall", 83.42, 2000)
        assert wall["natural_ours"] == pytest.approx(60)
        assert wall["natural_difference"] == pytest.approx(60 - 83.42)
        assert average["paper"] == pytest.approx(44.75, abs=0.005)
        assert average["natural_ours"] == pytest.approx(C_PART)
        assert average["labeled_pixels"] == 20 * 3700

    def test_it_is_at_the_best_iteration(self, store: Store, sun: Protocol) -> None:
        store.run(store.spec("segnet", protocol=sun), {"80K": PART, "140K": WHOLE}, best="80K")
        found = classes(store)
        assert found.loc[0, "natural_ours"] == pytest.approx(60)

    def test_none_without_segnet(self, store: Store, sun: Protocol) -> None:
        store.run(store.spec("deconvnet", protocol=sun), {"80K": PART, "140K": WHOLE})
        assert classes(store).empty
