"""What another machine does, on this one and without a cluster."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from harness.launchers import remote
from harness.launchers.base import until
from harness.launchers.display import log_file
from harness.launchers.remote import Mark, RemoteRun, carry_out, worked_on
from harness.launchers.worker import BAD_INPUT, ELSEWHERE, FINISHED
from harness.records.run import finished
from harness.system.locks import run_lock
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED
from harness.training.checkpoint import load_checkpoint
from harness.training.progress import read_position
from tests.harness.commands import ROOT, with_cache
from tests.harness.launchers.runs import job, long_protocol


def test_a_mark_is_put_and_withdrawn(tmp_path: Path) -> None:
    mark = Mark.put(job(tmp_path).request)
    mark.check()
    assert mark.wanted()
    mark.withdraw()
    assert not mark.wanted()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_job_s_paths_hold_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    weights = {"none": Path("vgg.safetensors")}
    one = job(Path(), {"data_root": "data", "weights": weights, "deadline_s": time.monotonic() + 100.0})
    run = RemoteRun.of(one, Mark.put(one.request))
    made = run.job.request
    assert made.data_root == str(tmp_path / "data") and made.weights == {"none": tmp_path / "vgg.safetensors"}
    assert made.results == tmp_path / "results" and made.work == tmp_path / "work"
    assert made.deadline_s is None and run.ends_at_s is not None
    assert run.ends_at_s - time.time() == pytest.approx(100.0, abs=1.0)  # by the wall clock


def test_a_machine_that_cannot_take_part_says_why(tmp_path: Path) -> None:
    one = job(tmp_path)
    run = RemoteRun.of(one, Mark.put(one.request))
    run.mark.files[0].unlink()
    ending = carry_out(run)
    assert ending.code == BAD_INPUT and "--results must lie on storage that all machines share" in ending.line
    other = Mark(results=run.mark.results, work=run.mark.work, token=run.mark.token, digest="0" * 64)
    ending = carry_out(RemoteRun(job=run.job, mark=other, ends_at_s=None))
    assert ending.code == BAD_INPUT and "another version of the harness" in ending.line


def test_what_is_not_to_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "HANDOVER_S", 0.1)
    one = job(tmp_path)
    run = RemoteRun.of(one, Mark.put(one.request))
    late = RemoteRun(job=run.job, mark=run.mark, ends_at_s=time.time() + 30.0)
    assert carry_out(late).code == TIME_LIMIT_REACHED
    with run_lock(one.results, one.spec.run_id):
        assert worked_on(one)
        assert carry_out(run).code == ELSEWHERE
    assert not worked_on(one)
    run.mark.withdraw()
    assert carry_out(run).code == STOPPED
    assert not one.folder.exists()


@pytest.mark.slow
def test_a_run_is_carried_out_and_its_log_kept(tmp_path: Path, drawn_cache: Path) -> None:
    one = job(with_cache(tmp_path, drawn_cache), architecture="segnet-basic")
    assert carry_out(RemoteRun.of(one, Mark.put(one.request))).code == FINISHED
    assert finished(one.results, one.spec) is not None
    assert "iteration 4 of 4" in log_file(one.folder).read_text()
    position = read_position(one.folder)
    assert position is not None and (position.done, position.total) == (4, 4)


@pytest.mark.slow
def test_a_withdrawn_mark_stops_a_run_with_its_checkpoint(tmp_path: Path, drawn_cache: Path) -> None:
    one = job(with_cache(tmp_path, drawn_cache), architecture="segnet-basic", protocol=long_protocol())
    run = RemoteRun.of(one, Mark.put(one.request))

    def withdraw_in_the_midst() -> None:
        until(lambda: read_position(one.folder) is not None, 120.0)
        run.mark.withdraw()

    thread = threading.Thread(target=withdraw_in_the_midst)
    thread.start()
    assert carry_out(run).code == STOPPED
    thread.join()
    assert load_checkpoint(one.folder / "checkpoint.pt") is not None
    assert "stopped at iteration" in log_file(one.folder).read_text()


@pytest.mark.slow
def test_a_worker_whose_supervisor_was_killed_saves_and_leaves(tmp_path: Path, drawn_cache: Path) -> None:
    """What is left of a machine that the cluster gave up lets go of the run, which another then takes."""
    one = job(with_cache(tmp_path, drawn_cache), architecture="segnet-basic", protocol=long_protocol())
    script = f"""
from harness.config.worker_job import WorkerJob
from harness.launchers.remote import Mark, RemoteRun, carry_out
job = WorkerJob.model_validate_json({one.model_dump_json()!r})
carry_out(RemoteRun.of(job, Mark.put(job.request)))
"""
    with subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert until(lambda: read_position(one.folder) is not None, 120.0)
        assert worked_on(one)
        process.send_signal(signal.SIGKILL)
    assert until(lambda: not worked_on(one), 60.0)
    assert load_checkpoint(one.folder / "checkpoint.pt") is not None
    assert "stopped at iteration" in log_file(one.folder).read_text()
