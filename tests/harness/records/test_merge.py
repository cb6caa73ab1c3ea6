"""Results folders brought together."""

from pathlib import Path

import numpy as np
import pytest

from harness.config.protocol import load_protocol
from harness.records.measurement import read_record, save_measurement
from harness.records.merge import Merged, merge
from harness.records.run import Failure, runs_folder
from harness.system.errors import UserError
from harness.system.locks import run_lock
from tests.harness.profiling.test_record import make_cell, make_record
from tests.harness.report.made_up import Store, matrix

OOM = Failure(kind="oom", message="OOM at batch 5")
PROTOCOL = load_protocol("camvid-epochs@2")
SCORES = {label: np.stack([matrix([100] * 11)] * 3) for label in ("half", "end")}
OTHER_SCORES = {label: np.stack([matrix([50] * 11)] * 3) for label in ("half", "end")}


def outcome(merged: Merged) -> tuple[int, int, int]:
    return merged.added, merged.same, len(merged.refused)


def names(results: Path) -> list[str]:
    found = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != ".locks")


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    """Two results folders."""
    return Store(results=tmp_path / "here"), Store(results=tmp_path / "there")


def test_what_is_missing_is_added_and_what_is_there_is_recognized(stores: tuple[Store, Store]) -> None:
    here, there = stores
    for store in stores:
        store.run(store.spec("segnet", protocol=PROTOCOL), SCORES)
    there.run(there.spec("fcn8s", protocol=PROTOCOL), SCORES)
    assert outcome(merge(here.results, [there.results])) == (1, 1, 0)
    assert {name for name in names(there.results)} == {name for name in names(here.results)}
    assert outcome(merge(here.results, [there.results])) == (0, 2, 0)


def test_other_scores_of_one_run_are_refused_by_name(stores: tuple[Store, Store]) -> None:
    here, there = stores
    run_id = here.run(here.spec("segnet", protocol=PROTOCOL), SCORES).name
    there.run(there.spec("segnet", protocol=PROTOCOL), OTHER_SCORES)
    before = {path: path.read_bytes() for path in here.results.rglob("*") if path.is_file()}
    merged = merge(here.results, [there.results])
    assert outcome(merged) == (0, 0, 1)
    assert run_id in merged.refused[0] and "other scores" in merged.refused[0]
    assert {path: path.read_bytes() for path in before} == before


def test_a_finished_run_takes_the_place_of_a_failed_one_and_never_the_other_way(stores: tuple[Store, Store]) -> None:
    here, there = stores
    here.failed(here.spec("segnet", protocol=PROTOCOL), OOM)
    run_id = there.run(there.spec("segnet", protocol=PROTOCOL), SCORES).name
    assert outcome(merge(here.results, [there.results])) == (1, 0, 0)
    assert (runs_folder(here.results) / run_id / "scores.npz").exists()
    back = Store(results=there.results.parent / "back")
    back.failed(back.spec("segnet", protocol=PROTOCOL), OOM)
    assert outcome(merge(here.results, [back.results])) == (0, 1, 0)
    assert (runs_folder(here.results) / run_id / "scores.npz").exists()


def test_a_damaged_record_is_named_and_the_others_are_merged(stores: tuple[Store, Store]) -> None:
    here, there = stores
    there.run(there.spec("segnet", protocol=PROTOCOL), SCORES)
    damaged = there.run(there.spec("fcn8s", protocol=PROTOCOL), SCORES)
    (damaged / "record.json").write_text("{", "utf-8")
    merged = merge(here.results, [there.results])
    assert (merged.added, len(merged.refused)) == (1, 1)
    assert damaged.name in merged.refused[0]


def test_damaged_scores_are_refused_and_give_way_to_whole_ones(stores: tuple[Store, Store]) -> None:
    here, there = stores
    run = here.run(here.spec("segnet", protocol=PROTOCOL), SCORES)
    there.run(there.spec("segnet", protocol=PROTOCOL), SCORES)
    whole = (run / "scores.npz").read_bytes()
    (run / "scores.npz").write_bytes(whole[:-40])
    merged = merge(there.results, [here.results])
    assert outcome(merged) == (0, 0, 1)
    assert "scores.npz: damaged" in merged.refused[0]
    assert outcome(merge(here.results, [there.results])) == (1, 0, 0)
    assert (run / "scores.npz").read_bytes() == whole


def test_a_failed_run_does_not_take_the_place_of_a_damaged_one(stores: tuple[Store, Store]) -> None:
    here, there = stores
    run = here.run(here.spec("segnet", protocol=PROTOCOL), SCORES)
    there.failed(there.spec("segnet", protocol=PROTOCOL), OOM)
    (run / "SHA256SUMS").write_text("", "utf-8")
    merged = merge(here.results, [there.results])
    assert outcome(merged) == (0, 0, 1) and "is damaged, and this one failed" in merged.refused[0]
    assert (run / "scores.npz").exists()


def test_a_run_that_is_being_worked_on_is_left_alone(stores: tuple[Store, Store]) -> None:
    here, there = stores
    run_id = there.run(there.spec("segnet", protocol=PROTOCOL), SCORES).name
    with run_lock(here.results, run_id) as own:
        assert own
        merged = merge(here.results, [there.results])
    assert merged.refused == [f"{run_id}: another process works on it here"]
    assert not runs_folder(here.results).exists()


def test_cells_of_one_device_come_together(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    path = save_measurement(here, make_record(make_cell()))
    save_measurement(there, make_record(make_cell(), make_cell("backward"), environments=({"torch": "3"},)))
    merged = merge(here, [there])
    assert outcome(merged) == (1, 0, 0)
    record = read_record(path)
    assert [str(cell.key) for cell in record.cells] == ["forward at batch 1", "backward at batch 1"]
    assert outcome(merge(here, [there])) == (0, 1, 0)


def test_a_cell_measured_twice_is_refused(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    path = save_measurement(here, make_record(make_cell()))
    save_measurement(there, make_record(make_cell(wall_s=99.0), make_cell("backward")))
    merged = merge(here, [there])
    assert "forward at batch 1 was measured twice" in merged.refused[0]
    # what is not in conflict is kept all the same
    assert [str(cell.key) for cell in read_record(path).cells] == ["forward at batch 1", "backward at batch 1"]
    assert read_record(path).cells[0] == make_cell()


def test_two_failures_are_no_conflict(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    failed = {"failure": {"kind": "oom", "message": "OOM at batch 1"}, "timing": None}
    save_measurement(here, make_record(make_cell(**failed)))
    save_measurement(there, make_record(make_cell(**failed, measured_at="2027-01-02T03:04:05+00:00")))
    assert outcome(merge(here, [there])) == (0, 1, 0)


@pytest.mark.parametrize(("here_method", "there_method", "added"), [(1, 2, True), (2, 1, False)])
def test_the_later_revision_of_measuring_stays(
    tmp_path: Path, here_method: int, there_method: int, added: bool
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    path = save_measurement(here, make_record(make_cell(method=here_method, wall_s=1.0)))
    save_measurement(there, make_record(make_cell(method=there_method, wall_s=2.0)))
    assert outcome(merge(here, [there])) == ((1, 0, 0) if added else (0, 1, 0))
    [cell] = read_record(path).cells
    assert cell.method == 2


@pytest.mark.parametrize("method", [1, 2])
def test_a_failed_cell_gives_way_to_figures_and_never_the_other_way(tmp_path: Path, method: int) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    path = save_measurement(here, make_record(make_cell(method=1)))
    failed = {"failure": {"kind": "oom", "message": "OOM at batch 1"}, "timing": None}
    save_measurement(there, make_record(make_cell(method=method, **failed), make_cell("backward")))
    assert outcome(merge(here, [there])) == (1, 0, 0)
    assert [cell.failure for cell in read_record(path).cells] == [None, None]
    other = tmp_path / "other"
    path = save_measurement(other, make_record(make_cell(method=2, **failed)))
    assert outcome(merge(other, [here])) == (1, 0, 0)
    assert [cell.failure for cell in read_record(path).cells] == [None, None]


def test_devices_stay_apart(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    save_measurement(here, make_record(make_cell()))
    save_measurement(there, make_record(make_cell(), device_slug="cpu-another", device_name="another"))
    assert outcome(merge(here, [there])) == (1, 0, 0)
    assert len(names(here)) == 2


def test_other_records_are_copied_or_refused(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, text in ((here, "1"), (there, "1")):
        (folder / "indices" / "cpu").mkdir(parents=True)
        (folder / "indices" / "cpu" / "a.json").write_text(text, "utf-8")
    (there / "indices" / "cpu" / "b.json").write_text("2", "utf-8")
    assert outcome(merge(here, [there])) == (1, 1, 0)
    (there / "indices" / "cpu" / "a.json").write_text("3", "utf-8")
    assert "a.json" in merge(here, [there]).refused[0]


def test_what_is_no_results_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "here" / "runs").mkdir(parents=True)
    with pytest.raises(UserError, match="nowhere: no results folder"):
        merge(tmp_path / "here", [tmp_path / "nowhere"])
    with pytest.raises(UserError, match="is the folder to merge into"):
        merge(tmp_path / "here", [tmp_path / "here"])
