"""Records: written whole or not at all, found again, and damage named rather than hidden."""

import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness.records.content import pack_scores, thin, to_json
from harness.records.run import (
    Failure,
    History,
    RunRecord,
    Validation,
    finished,
    load_run,
    load_runs,
    runs_folder,
    save_run,
)
from harness.system.errors import UserError
from harness.system.files import write_atomically
from tests.harness.helpers import spec

HISTORY = {"history.json": to_json(History(iteration=[1], loss=[2.5], lr=[0.1], validation=[]))}


def record(failed: bool = False, seed: int = 0) -> RunRecord:
    run = spec(seed=seed)
    failure = Failure(kind="oom", message="OOM at batch 5") if failed else None
    status = "failed" if failed else "finished"
    values = {"run_id": run.run_id, "spec": run, "status": status, "failure": failure}
    return RunRecord.model_validate({**values, "reduced": ("x",), "device": "CPU", "environment": {}})


def test_a_saved_run_is_found_again(tmp_path: Path) -> None:
    folder = save_run(tmp_path, record(), HISTORY)
    stored = finished(tmp_path, spec())
    assert stored is not None and stored.record == record()
    assert sorted(os.listdir(folder)) == ["SHA256SUMS", "history.json", "record.json"]
    assert finished(tmp_path, spec(seed=1)) is None


def test_a_failed_run_is_not_finished_and_gives_way_to_a_finished_one(tmp_path: Path) -> None:
    save_run(tmp_path, record(failed=True), {"left-over": b""})
    assert finished(tmp_path, spec()) is None
    folder = save_run(tmp_path, record(), HISTORY)
    assert finished(tmp_path, spec()) is not None
    assert sorted(os.listdir(folder)) == ["SHA256SUMS", "history.json", "record.json"]
    assert os.listdir(runs_folder(tmp_path)) == [folder.name]


def test_what_differs_from_its_checksum_is_damaged(tmp_path: Path) -> None:
    folder = save_run(tmp_path, record(), HISTORY)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True)
    whole = (folder / "history.json").read_bytes()
    (folder / "history.json").write_bytes(whole.replace(b"2.5", b"2.4"))  # as valid as before
    with pytest.raises(ValueError, match=r"history\.json: damaged: its content is not what SHA256SUMS says"):
        load_run(folder).history()
    assert finished(tmp_path, spec()) is None
    (folder / "history.json").write_bytes(whole)
    assert finished(tmp_path, spec()) is not None
    (folder / "SHA256SUMS").unlink()  # as earlier records are
    assert finished(tmp_path, spec()) is not None


def test_a_history_fits_together() -> None:
    with pytest.raises(ValueError, match="equal length"):
        History(iteration=[1, 2], loss=[2.5], lr=[0.1], validation=[])
    with pytest.raises(ValueError, match="square"):
        Validation(iteration=1, matrix=[[1, 2], [3]])


def test_damaged_records_are_named_and_the_others_read(tmp_path: Path) -> None:
    save_run(tmp_path, record(), {})
    broken = save_run(tmp_path, record(seed=1), {}) / "record.json"
    broken.write_text(broken.read_text()[:100])
    moved = save_run(tmp_path, record(seed=2), {})
    moved.rename(moved.with_name("segnet-roads-s2-00000000"))
    (runs_folder(tmp_path) / "empty").mkdir()
    runs, unreadable = load_runs(tmp_path)
    assert [run.record.spec.seed for run in runs] == [0]
    assert len(unreadable) == 3
    assert any(str(broken) in line for line in unreadable)
    assert finished(tmp_path, spec(seed=1)) is None


def test_scores_come_back_as_they_were_and_equal_ones_make_equal_files() -> None:
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 9, (7, 11, 11)).astype(np.int32)
    boundary = rng.random((7, 11)).astype(np.float32)
    boundary[2, 3] = np.nan
    packed = pack_scores({"test-000004-matrices": matrices, "test-000004-bf": boundary})
    assert packed == pack_scores({"test-000004-matrices": matrices, "test-000004-bf": boundary})
    with np.load(io.BytesIO(packed)) as arrays:
        np.testing.assert_array_equal(arrays["test-000004-matrices"], matrices)
        np.testing.assert_array_equal(arrays["test-000004-bf"], boundary)


def test_a_failed_record_needs_a_reason() -> None:
    values = record().model_dump()
    with pytest.raises(ValueError, match="failure"):
        RunRecord.model_validate({**values, "status": "failed"})


def test_unknown_fields_are_refused(tmp_path: Path) -> None:
    folder = save_run(tmp_path, record(), {})
    (folder / "SHA256SUMS").unlink()
    path = folder / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "score": 1.0}))
    with pytest.raises(ValueError, match="score"):
        load_run(folder)


def test_a_write_that_fails_raises_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write_atomically(target, b"old")
    blocked = tmp_path / "file" / "below"
    with pytest.raises(UserError, match="can't write"):
        write_atomically(blocked, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_thinning_keeps_means_and_the_last_iteration() -> None:
    history = [(i + 1, float(i % 2), 0.1) for i in range(2500)]
    thinned = thin(history)
    assert len(thinned) == 834
    assert thinned[0] == (3, pytest.approx(1 / 3, rel=1e-4), 0.1)
    assert thinned[-1][0] == 2500
    assert thin(history[:1000]) == history[:1000]
    assert thin([]) == []
