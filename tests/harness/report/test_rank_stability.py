"""Whether networks keep their order over seeds and initial weights, against figures computed by hand."""

import pandas as pd
import pytest

from harness.report.rank_stability import rank_pairs, rank_stability, rank_stability_text
from tests.harness.report.made_up_results import rows

HE = {"initial_weights_title": "He et al.", "initial_weights_sha256": None}


@pytest.fixture
def results() -> pd.DataFrame:
    """FCN-8s ahead of SegNet everywhere; DeepLab now above SegNet, now below."""
    return pd.concat(
        [
            rows({"segnet": 50, "fcn8s": 70, "deeplab-largefov": 60}),
            rows({"segnet": 54, "fcn8s": 72, "deeplab-largefov": 52}, seed=1),
            rows({"segnet": 20, "fcn8s": 40, "deconvnet": 10}, **HE),
            rows({"deeplab-largefov+dense-crf@1": 99}, postprocess="dense-crf@1"),
        ],
        ignore_index=True,
    )


def test_a_row_a_network_seed_and_initial_weights(results: pd.DataFrame) -> None:
    frame = rank_stability(results)
    assert len(frame) == 8 and not frame["network"].str.contains("crf").any()
    segnet = frame[frame["title"] == "SegNet"]
    assert list(zip(segnet["initial_weights_title"], segnet["seed"], segnet["miou"], segnet["place"], strict=True)) == [
        ("VGG16", 0, 50.0, 3),
        ("VGG16", 1, 54.0, 2),
        ("He et al.", 0, 20.0, 2),
    ]
    assert "DeconvNet" not in set(frame["title"])  # beside others in one row alone


def test_a_row_of_one_network_is_left_out_and_places_are_among_those_compared() -> None:
    found = rank_stability(
        pd.concat(
            [
                rows({"fcn8s": 70, "deconvnet": 60, "segnet": 50}),
                rows({"fcn8s": 40, "segnet": 45}, seed=1),
                rows({"segnet": 30}, **HE),
            ]
        )
    )
    assert list(zip(found["title"], found["seed"], found["place"], strict=True)) == [
        ("FCN-8s", 0, 1),
        ("SegNet", 0, 2),
        ("FCN-8s", 1, 2),
        ("SegNet", 1, 1),
    ]


def test_pairs_that_keep_their_order_are_told_from_the_others(results: pd.DataFrame) -> None:
    pairs = rank_pairs(rank_stability(results)).set_index(["first", "second"])
    assert pairs["ahead"].to_dict() == {
        ("SegNet", "FCN-8s"): 0,
        ("SegNet", "DeepLab-LargeFOV"): 1,
        ("FCN-8s", "DeepLab-LargeFOV"): 2,
    }
    assert pairs["rows"].tolist() == [3, 2, 2] and pairs["stable"].tolist() == [True, False, True]
    text = rank_stability_text(rank_stability(results))
    assert "50.00 (3)" in text and "SegNet 4.00" in text


def test_one_seed_of_one_kind_of_weights_shows_no_order() -> None:
    other = {"protocol_title": "camvid@2+lr=0.01", "overrides": "lr=0.01"}
    alone = [rows({"segnet": 50, "fcn8s": 70}), rows({"segnet": 50}, seed=1), rows({"segnet": 1, "fcn8s": 2}, **other)]
    found = rank_stability(pd.concat(alone))
    assert found.empty and rank_stability_text(found) == ""
