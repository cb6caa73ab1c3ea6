"""The refined network as a row of its own, with its own column of times."""

from pathlib import Path
from typing import Any

import datasets
from harness.config.protocol import Protocol
from harness.config.run_spec import refined
from harness.config.suite import load_suite
from harness.records.content import to_json
from harness.records.crf import CrfParameters, CrfRecord, CrfTime, SubsetScores, Trial
from harness.records.run import Failure, History, load_run, save_run
from harness.report import accuracy, write_reports
from harness.report.accuracy_tables import table3_files, table3_text
from harness.report.collect import collect
from harness.report.groups import Group, title
from harness.report.samples import sample
from tests.harness.report.made_up import Store
from tests.harness.report.test_accuracy import G_PART, PART, WHOLE, row

CHOSEN = CrfParameters(bilateral_weight=7.5, bilateral_sigma_px=60, color_sigma=4)
BEFORE = SubsetScores(global_accuracy=0.8, class_accuracy=0.6, miou=0.5)
AFTER = SubsetScores(global_accuracy=0.82, class_accuracy=0.59, miou=0.51)


def add_refined(store: Store, protocol: Protocol, **changes: Any) -> Path:
    """A finished run of DeepLab-LargeFOV, and one that refines its output; the folder of that."""
    plain = store.spec("deeplab-largefov", protocol=protocol, **changes)
    store.run(plain, {"half": PART, "end": PART}, bf=0.3)
    folder = store.run(refined(plain), {"end": WHOLE}, bf=0.4)
    crf = CrfRecord(
        base_run=plain.run_id,
        parameters=CHOSEN,
        chosen_by="mIoU",
        search=(Trial(parameters=CHOSEN, scores=AFTER),),
        search_image_ids=("a", "b"),
        without=BEFORE,
        time=CrfTime(median_ms=940.0, lowest_ms=900.0, highest_ms=990.0, images=10, height=360, width=480, threads=2),
    )
    record = load_run(folder).record.model_copy(update={"crf": crf, "device": "Another CPU"})
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".npz", ".png")}
    files["history.json"] = to_json(History(iteration=[], loss=[], lr=[], validation=[]))
    save_run(store.results, record, files)
    return folder


def only_group(store: Store) -> Group:
    (group,) = collect(store.results, load_suite("camvid")).groups
    return group


def test_a_refined_network_has_the_paper_s_name() -> None:
    assert title("deeplab-largefov+dense-crf@1") == "DeepLab-LargeFOV-denseCRF"
    assert title("deeplab-largefov") == "DeepLab-LargeFOV"
    assert title("unknown+network") == "unknown+network"


def test_its_row_stands_beside_the_paper_s_and_leaves_the_network_s_alone(store: Store, camvid: Protocol) -> None:
    add_refined(store, camvid)
    group = only_group(store)
    assert group.networks == ["deeplab-largefov", "deeplab-largefov+dense-crf@1"]
    frame = accuracy.table3(group, datasets.info("camvid"))
    ours = row(frame, "DeepLab-LargeFOV-denseCRF", "best by val")
    assert (ours["G_paper"], ours["BF_paper"]) == (89.71, 40.79)
    assert (ours["G_ours"], ours["dense_crf_ms"], ours["seeds"]) == (100.0, 940.0, 1)
    plain = row(frame, "DeepLab-LargeFOV", "best by val")
    assert plain["G_ours"] == G_PART and plain["dense_crf_ms"] != plain["dense_crf_ms"]
    named = frame[frame["network"] == "DeepLab-LargeFOV-denseCRF"]
    assert list(named["checkpoint"]) == ["end", "best by val"]  # weights of 40K are not kept


def test_time_has_its_own_column_with_what_it_was_measured_on(store: Store, camvid: Protocol) -> None:
    add_refined(store, camvid)
    group, dataset = only_group(store), datasets.info("camvid")
    frame = accuracy.table3(group, dataset)
    text = table3_text(frame, dataset)
    cells = text.set_index(["network", "checkpoint"])["dense CRF, s an image"]
    assert cells["DeepLab-LargeFOV-denseCRF", "best by val"] == "0.94"
    assert cells["DeepLab-LargeFOV", "best by val"] == "–"
    page = table3_files(group, dataset, frame)["table3.md"]
    assert "10 images of 360 x 480 on Another CPU, 2 threads" in page
    assert "bilateral weight 7.5, sigma 60 pixels and 4 of 255 in color" in page
    assert "mIoU on these images 51.00 %, without the CRF 50.00 %" in page


def test_without_it_there_is_neither_column_nor_note(store: Store, camvid: Protocol) -> None:
    store.run(store.spec("deeplab-largefov", protocol=camvid), {"half": PART, "end": WHOLE})
    group, dataset = only_group(store), datasets.info("camvid")
    frame = accuracy.table3(group, dataset)
    assert "dense_crf_ms" not in frame
    assert "CRF, s an image" not in table3_files(group, dataset, frame)["table3.md"]


def test_one_that_failed_is_a_row_with_its_reason(store: Store, camvid: Protocol) -> None:
    plain = store.spec("deeplab-largefov", protocol=camvid)
    store.run(plain, {"half": PART, "end": WHOLE})
    store.failed(refined(plain), Failure(kind="data", message="the weights are gone"))
    frame = accuracy.table3(only_group(store), datasets.info("camvid"))
    named = frame[frame["network"] == "DeepLab-LargeFOV-denseCRF"]
    assert list(named["status"]) == ["failed (data)"]


def test_seeds_of_a_network_and_its_refined_output_are_paired(store: Store, camvid: Protocol) -> None:
    for seed in (0, 1):
        add_refined(store, camvid, seed=seed)
    group = only_group(store)
    plain, after = (
        sample(group.of(name), "test", "end", "G") for name in ("deeplab-largefov", "deeplab-largefov+dense-crf@1")
    )
    assert plain is not None and after is not None
    assert len(set(plain.trainings)) == 2
    assert plain.trainings == after.trainings


def test_the_whole_report_is_written_with_it(store: Store, camvid: Protocol, tmp_path: Path) -> None:
    add_refined(store, camvid)
    write_reports(store.results, tmp_path / "reports")
    page = (tmp_path / "reports" / "camvid" / "README.md").read_text()
    assert page.count("DeepLab-LargeFOV-denseCRF") > 3
    assert "- Trained on: Made-up CPU (2 cores). torch 2.15.0." in page
    assert "- Refined by the dense CRF on: Another CPU. torch 2.15.0." in page
