"""Records: written whole or not at all, found again, and damage named rather than hidden."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from harness.atomic import write_atomically
from harness.errors import UserError
from harness.records import (
    Failure,
    RunRecord,
    finished,
    load_run,
    load_runs,
    pack_scores,
    runs_folder,
    save_run,
    thin,
)
from tests.harness.helpers import spec


def record(failed: bool = False, seed: int = 0) -> RunRecord:
    run = spec(seed=seed)
    failure = Failure(kind="oom", message="OOM at batch 5") if failed else None
    status = "failed" if failed else "finished"
    values = {"run_id": run.run_id, "spec": run, "status": status, "failure": failure}
    return RunRecord.model_validate({**values, "reduced": ("x",), "device": "CPU", "environment": {}})


def test_a_saved_run_is_found_again(tmp_path: Path) -> None:
    folder = save_run(tmp_path, record(), {"history.json": b"{}"})
    stored = finished(tmp_path, spec())
    assert stored is not None and stored.record == record()
    assert sorted(os.listdir(folder)) == ["history.json", "record.json"]
    assert finished(tmp_path, spec(seed=1)) is None


def test_a_failed_run_is_not_finished_and_gives_way_to_a_finished_one(tmp_path: Path) -> None:
    save_run(tmp_path, record(failed=True), {"left-over": b""})
    assert finished(tmp_path, spec()) is None
    folder = save_run(tmp_path, record(), {})
    assert finished(tmp_path, spec()) is not None
    assert os.listdir(folder) == ["record.json"]


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
