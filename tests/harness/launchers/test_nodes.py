"""What a machine of a cluster does, on this one and without a cluster."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.launchers import worker
from harness.launchers.cluster import until, worked_on
from harness.launchers.nodes import Answer, Mark, code_digest, execute, introduce, marked
from harness.launchers.scheduling import log_file
from harness.records.run import finished
from harness.system.environment import device_slug
from harness.system.locks import run_lock
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED
from harness.training.checkpoint import load_checkpoint
from harness.training.progress import read_position
from tests.harness.launchers.namespace import ROOT
from tests.harness.launchers.runs import job, long_protocol

DIGEST = code_digest()


def folders(root: Path) -> tuple[Path, Path]:
    for name in ("results", "work"):
        (root / name).mkdir()
    return root / "results", root / "work"


def left(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def test_a_machine_that_shares_the_folders_takes_part(tmp_path: Path) -> None:
    with marked(*folders(tmp_path)) as mark:
        assert introduce(mark, "cpu", DIGEST) == Answer(device_slug=device_slug("cpu"))
    assert left(tmp_path) == []


def complaint(mark: Mark, digest: str = DIGEST) -> str:
    answer = introduce(mark, "cpu", digest)
    assert answer.device_slug is None and answer.complaint is not None
    assert "\n" not in answer.complaint
    return answer.complaint


def test_folders_that_are_not_shared_are_named(tmp_path: Path) -> None:
    results, work = folders(tmp_path)
    with marked(results, work) as mark:
        (work / mark.name).unlink()
        assert "--work must lie on storage that all machines of the cluster share" in complaint(mark)
        (work / mark.name).write_text("another command's")
        assert "finds another file" in complaint(mark)
    elsewhere = Mark(results=tmp_path / "nowhere", work=work, token="0")
    assert "--results must lie on storage" in complaint(elsewhere)


def test_locks_that_do_not_reach_are_found(tmp_path: Path) -> None:
    results, work = folders(tmp_path)
    mark = Mark(results=results, work=work, token="0")  # whose lock nobody holds
    for folder in (results, work):
        (folder / mark.name).write_text(mark.token)
    assert "does not see locks of other machines" in complaint(mark)


def test_other_code_is_found(tmp_path: Path) -> None:
    with marked(*folders(tmp_path)) as mark:
        assert "another version of the harness" in complaint(mark, "0" * 64)


def test_a_run_that_is_no_longer_wanted_is_not_begun(tmp_path: Path) -> None:
    one = job(tmp_path)
    with marked(one.results, one.work) as mark:
        assert mark.wanted()
        mark.withdraw()
        assert not mark.wanted()
        assert execute(one, mark, None).code == STOPPED
    assert not one.folder.exists()


def test_a_run_is_not_begun_at_the_budget_s_end(tmp_path: Path) -> None:
    one = job(tmp_path)
    with marked(one.results, one.work) as mark:
        ended = execute(one, mark, time.time() + 30.0)
    assert ended.code == TIME_LIMIT_REACHED and "budget" in ended.line
    assert not one.folder.exists()


def test_a_run_that_another_process_keeps_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.launchers.nodes.HANDOVER_S", 0.1)
    one = job(tmp_path)
    with marked(one.results, one.work) as mark, run_lock(one.results, one.spec.run_id):
        assert execute(one, mark, None).code == worker.ELSEWHERE


@pytest.mark.slow
def test_a_run_is_carried_out_and_its_log_kept(tmp_path: Path, drawn_cache: Path) -> None:
    one = job(with_drawn(tmp_path, drawn_cache), architecture="segnet-basic")
    with marked(one.results, one.work) as mark, run_lock_for(one.results, one.spec.run_id, 1.0):
        assert execute(one, mark, time.time() + 3600.0).code == worker.FINISHED
    assert finished(one.results, one.spec) is not None
    assert "iteration 4 of 4" in log_file(one.folder).read_text()
    position = read_position(one.folder)
    assert position is not None and (position.done, position.total) == (4, 4)


@pytest.mark.slow
def test_a_withdrawn_mark_stops_a_run_with_its_checkpoint(tmp_path: Path, drawn_cache: Path) -> None:
    one = job(with_drawn(tmp_path, drawn_cache), architecture="segnet-basic", protocol=long_protocol())
    with marked(one.results, one.work) as mark:

        def withdraw_in_the_midst() -> None:
            until(lambda: read_position(one.folder) is not None, 120.0)
            mark.withdraw()

        thread = threading.Thread(target=withdraw_in_the_midst)
        thread.start()
        assert execute(one, mark, None).code == STOPPED
        thread.join()
    assert load_checkpoint(one.folder / "checkpoint.pt") is not None
    assert "stopped at iteration" in log_file(one.folder).read_text()


@pytest.mark.slow
def test_a_worker_whose_machine_s_process_was_killed_saves_and_leaves(tmp_path: Path, drawn_cache: Path) -> None:
    """What is left of a machine that the cluster gave up lets go of the run, which another then takes."""
    one = job(with_drawn(tmp_path, drawn_cache), architecture="segnet-basic", protocol=long_protocol())
    script = f"""
from harness.launchers.nodes import execute, marked
from harness.config.worker_job import WorkerJob
job = WorkerJob.model_validate_json({one.model_dump_json()!r})
with marked(job.results, job.work) as mark:
    execute(job, mark, None)
"""
    with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert until(lambda: read_position(one.folder) is not None, 120.0)
        assert worked_on(one)
        process.send_signal(signal.SIGKILL)
    assert until(lambda: not worked_on(one), 60.0)
    assert load_checkpoint(one.folder / "checkpoint.pt") is not None
    assert "stopped at iteration" in log_file(one.folder).read_text()


def with_drawn(folder: Path, cache: Path) -> Path:
    """The folder, with the drawn scenes in its work folder already."""
    cache.mkdir(exist_ok=True)
    (folder / "work").mkdir()
    (folder / "work" / "cache").symlink_to(cache)
    return folder


class run_lock_for:
    """A run's lock that is held for so many seconds, as by what is left of a lost machine."""

    def __init__(self, results: Path, run_id: str, seconds: float) -> None:
        self._held = run_lock(results, run_id)
        self._timer = threading.Timer(seconds, self._held.__exit__, (None, None, None))

    def __enter__(self) -> None:
        assert self._held.__enter__()
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.join()
