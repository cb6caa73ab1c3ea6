"""The paper's figures as package data."""

import pandas as pd
import pytest

from harness import paper
from harness.paper.published import other_figures, others_table

TABLES = {
    "table1_decoder_variants": (32, 11),
    "table2_camvid_classes": (11, 17),
    "table3_camvid": (16, 7),
    "table4_sunrgbd": (14, 7),
    "table5_sunrgbd_classes": (37, 3),
    "table6_resources": (4, 6),
    "other_figures": (21, 11),
}


@pytest.mark.parametrize(("name", "shape"), TABLES.items())
def test_every_table_has_its_rows_and_columns(name: str, shape: tuple[int, int]) -> None:
    assert paper.table(name).shape == shape


def test_table5_has_the_mean_of_table4() -> None:
    assert paper.table("table5_sunrgbd_classes")["segnet_accuracy"].mean() == pytest.approx(44.75, abs=0.005)


def test_empty_cell_is_missing() -> None:
    methods = paper.table("table2_camvid_classes").set_index("method")
    assert methods["mIoU"].isna().tolist() == [True] * 7 + [False] + [True] * 3


def test_accuracies_in_the_papers_order() -> None:
    rows = paper.accuracies()
    assert list(dict.fromkeys(row.network for row in rows)) == [
        "SegNet",
        "DeepLab-LargeFOV",
        "DeepLab-LargeFOV-denseCRF",
        "FCN",
        "FCN (learnt deconv)",
        "DeconvNet",
    ]
    assert rows[2].checkpoint == "best"
    assert rows[2].iterations == 140_000
    assert rows[2].scores == {"G": 90.40, "C": 71.20, "mIoU": 60.10, "BF": 46.84}


def test_resources() -> None:
    segnet = paper.resources()[0]
    assert (segnet.forward_ms, segnet.inference_memory_mb, segnet.model_size_mb) == (422.5, 1052, 117)


def test_decoders_in_the_papers_order() -> None:
    rows = paper.decoders()
    assert len(rows) == 8
    assert (rows[1].variant, rows[1].params_m, rows[1].storage_multiplier) == ("SegNet-Basic", 1.425, 1)
    assert rows[1].scores["median", "test"] == {"G": 82.7, "C": 62.0, "mIoU": 47.7, "BF": 35.78}
    assert rows[1].scores["natural", "train"] == {"G": 96.1, "C": 83.9, "mIoU": 73.3}
    assert [row.storage_multiplier for row in rows] == [0, 1, 64, 1, 11, None, 64, 0]


def test_unknown_table() -> None:
    with pytest.raises(FileNotFoundError):
        paper.table("table7")


def test_sun_accuracies_in_the_papers_order() -> None:
    rows = paper.sun_accuracies()
    assert len(rows) == 14
    assert (rows[3].network, rows[3].checkpoint) == ("SegNet (median frequency balancing)", "best")
    assert rows[-1].scores == {"G": 66.13, "C": 32.28, "mIoU": 22.57, "BF": 10.47}
    assert rows[-1].iterations == 380_000


def test_sun_classes() -> None:
    classes = paper.sun_class_accuracies()
    assert list(classes)[:3] == ["wall", "floor", "cabinet"]
    assert classes["bathtub"] == 48.86


def test_others_trained_on_the_same_images() -> None:
    frame = other_figures()
    assert set(frame["images"]) == {367} and set(frame["split"]) == {"test", "val"}
    assert not frame["source"].str.contains("Jegou").any()  # never checked against its source
    segnets = frame[(frame["architecture"] == "segnet") & (frame["split"] == "test")]["mIoU"]
    assert segnets.tolist() == [50.2, 54.09, 46.6, 44.79, 43.77, 53.3]


def test_ours_stand_above_the_others() -> None:
    ours = pd.DataFrame(
        {
            "network": ["segnet", "segnet", "fcn8s", "deconvnet"],
            "title": ["SegNet", "SegNet", "FCN (learnt deconv)", "DeconvNet"],
            "miou": [46.0, 48.0, 57.0, 30.0],
        }
    )
    table = others_table(ours).set_index("source")
    assert list(table) == ["SegNet", "FCN (learnt deconv)", "DeconvNet", "remarks"]
    assert table.loc["here"].tolist() == [47.0, 57.0, 30.0, ""]
    assert table["SegNet"].iloc[1:].tolist() == [50.2, 54.09, 46.6, 44.79, 43.77, 53.3]
    assert table["FCN (learnt deconv)"].dropna().tolist() == [57.0, 50.36, 56.81]
