"""The tidy frames: scores by hand, intervals, failed and odd records, measurements with their units."""

import numpy as np
import pytest

from harness.config.protocol import Protocol
from harness.records.run import Failure, runs_folder
from harness.report.frames import load_class_scores, load_curves, load_image_scores, load_measurements, load_results
from harness.report.grouping import GroupKey
from harness.report.store import distinct_titles
from tests.harness.report.made_up import C_PART, G_PART, MIOU_PART, PART, WHOLE, Store


def saved(store: Store, protocol: Protocol, values: np.ndarray = PART, **changes: object) -> str:
    return store.run(
        store.spec("segnet", protocol=protocol, **changes), {"half": WHOLE[: len(values)], "end": values}, bf=0.25
    ).name  # type: ignore[arg-type]


def test_scores_of_a_run_by_hand(store: Store, camvid: Protocol) -> None:
    run_id = saved(store, camvid)
    frame = load_results(store.results)
    (row,) = frame[(frame["split"] == "test") & (frame["checkpoint"] == "end")].to_dict("records")
    assert row["run_id"] == run_id
    found = [row[name] for name in ("global_accuracy", "class_accuracy", "miou", "bf", "fwiou", "image_miou")]
    assert found == pytest.approx(
        [G_PART, C_PART, MIOU_PART, 25.0, MIOU_PART, MIOU_PART]
    )  # all classes are equally frequent
    assert row["miou_low"] == pytest.approx(MIOU_PART)  # every block is alike
    assert row["bf_high"] == pytest.approx(25.0)
    assert row["suites"] == "camvid"
    assert (row["protocol"], row["iteration"], row["images"]) == ("camvid-epochs@2", camvid.iterations, 20)
    # a row for each name of a checkpoint
    assert sorted(frame[frame["split"] == "test"]["checkpoint"]) == ["best", "end", "half"]
    assert frame[frame["split"] == "val"]["bf"].isna().all()


def test_scores_of_classes_by_hand(store: Store, camvid: Protocol) -> None:
    saved(store, camvid)
    frame = load_class_scores(store.results)
    rows = frame[(frame["split"] == "test") & (frame["checkpoint"] == "end")].set_index("class_index")
    names = ["accuracy", "iou", "dice", "precision", "recall", "bf", "share"]
    assert rows.loc[0, names].tolist() == pytest.approx([60, 60, 75, 100, 60, 25, 100 / 11])
    assert rows.loc[1, names].tolist() == pytest.approx([100, 100 / 1.4, 100 / 1.2, 100 / 1.4, 100, 25, 100 / 11])
    assert rows.loc[0, "class"] == "Sky"


def test_scores_of_images(store: Store, camvid: Protocol) -> None:
    values = np.concatenate([PART[:1], WHOLE[:10]])
    saved(store, camvid, values)
    frame = load_image_scores(store.results)
    rows = frame[(frame["split"] == "test") & (frame["checkpoint"] == "end")]
    assert rows["image"].tolist() == list(range(11))
    assert rows["miou"].tolist() == pytest.approx([MIOU_PART, *[100] * 10])
    assert rows["accuracy"].iloc[0] == pytest.approx(G_PART)


def test_curves_join_loss_and_scores(store: Store, camvid: Protocol) -> None:
    saved(store, camvid)
    frame = load_curves(store.results)
    last = frame.iloc[-1]
    assert last["iteration"] == camvid.iterations
    assert last[["val_miou", "train_miou"]].tolist() == pytest.approx([MIOU_PART, MIOU_PART])
    assert frame["iteration"].is_monotonic_increasing
    assert frame["loss"].notna().sum() > 100


def test_a_failed_run_is_one_row(store: Store, camvid: Protocol) -> None:
    store.failed(store.spec("fcn8s", protocol=camvid), Failure(kind="oom", message="OOM at batch 5"))
    (row,) = load_results(store.results).to_dict("records")
    assert (row["status"], row["failure"]) == ("failed", "oom: OOM at batch 5")
    assert np.isnan(row["miou"])


def test_odd_records_are_listed_and_stop_nothing(store: Store, camvid: Protocol) -> None:
    void = saved(store, camvid, np.zeros_like(PART), seed=1)
    good, torn = saved(store, camvid), saved(store, camvid, seed=2)
    (runs_folder(store.results) / torn / "scores.npz").write_bytes(b"torn")
    (runs_folder(store.results) / ("x" * 250)).mkdir()
    frame = load_results(store.results)
    assert set(frame["run_id"]) == {good, void}  # of the second one the row at half
    assert set(frame[frame["run_id"] == void]["checkpoint"]) == {"half"}
    lines = "\n".join(frame.attrs["unreadable"])
    assert all(part in lines for part in (torn, void, "no labeled pixel", "x" * 250))
    for load in (load_class_scores, load_image_scores, load_curves):
        assert good in set(load(store.results)["run_id"])


def test_two_networks_with_one_title_stay_apart() -> None:
    assert distinct_titles(["segnet", "unknown"]) == {"segnet": "SegNet", "unknown": "unknown"}
    found = distinct_titles(["segnet", "segnet#" + "0" * 8, "segnet"])
    assert len(set(found.values())) == 2


def test_an_empty_folder_has_empty_frames(store: Store) -> None:
    for load in (load_results, load_class_scores, load_image_scores, load_curves, load_measurements):
        frame = load(store.results)
        assert frame.empty
        assert "architecture" in frame or "network" in frame


def test_one_key_says_what_may_share_a_table(store: Store, camvid: Protocol) -> None:
    plain = GroupKey.of(store.spec("segnet", protocol=camvid))
    assert plain == GroupKey.of(store.spec("fcn8s", protocol=camvid, seed=3))
    faster = GroupKey.of(store.spec("segnet", protocol=camvid.override({"lr": "0.002"})))
    assert faster != plain
    assert faster.without("lr") == plain
    assert faster.slug != plain.slug
    assert faster.slug.startswith("camvid-epochs-2-")
    assert not set(faster.slug) & set("@=+%/ ")


def test_quantities_have_units(store: Store) -> None:
    store.measurement("segnet", model_size_mb=117.8, energy_mj=800.0, forward_ms=50.0, backward_ms=None)
    frame = load_measurements(store.results).set_index(["phase", "batch", "quantity", "statistic"])["value"]
    assert frame["forward", 1, "latency_ms", "median"] == 50.0
    assert frame["forward", 1, "throughput_images_s", "median"] == 20.0
    assert frame["forward", 1, "energy_j_per_image", "above_idle"] == pytest.approx(0.8)
    assert frame["shapes", 1, "model_size_mb", "value"] == 117.8
    assert frame["inference-memory", 1, "live_peak_mib", "value"] == 400.0
    missing = load_measurements(store.results)
    (reason,) = missing[(missing["phase"] == "backward") & (missing["quantity"] == "latency_ms")]["reason"]
    assert reason == "not tried"
