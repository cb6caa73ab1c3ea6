"""Runs with the CRF on drawn scenes: after the network's own, stopped and resumed, honest about failure."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.config.request import RunRequest
from harness.config.run_spec import refined
from harness.config.worker_job import WorkerJob
from harness.launchers.worker import FAILED, FINISHED, execute
from harness.metrics import scores
from harness.postprocess.crf import search
from harness.postprocess.crf.base_run import BaseRunMissing, base_spec, find_base_run
from harness.postprocess.crf.runner import CrfRun, CrfState
from harness.records.content import to_json
from harness.records.run import BEST, History, RunRecord, load_run, save_run
from harness.records.weights_files import checkpoint_file
from harness.system.environment import environment
from harness.system.signals import Interrupted
from harness.training.checkpoint import previous, save_checkpoint
from harness.training.progress import RunProgress
from harness.training.run_record import run_record
from harness.training.trainer import Trainer
from tests.harness.commands import link_cache
from tests.harness.helpers import spec, tiny_protocol

PROTOCOL = tiny_protocol(iterations="4", score_train="false")


def make_job(work: Path, cache: Path, postprocess: bool) -> WorkerJob:
    link_cache(work, cache)
    plain = spec(architecture="deeplab-largefov", protocol=PROTOCOL)
    return WorkerJob(
        spec=refined(plain) if postprocess else plain,
        request=RunRequest(device="cpu", threads=1, results=work / "results", work=work),
    )


def progress(job: WorkerJob) -> RunProgress:
    return RunProgress(Console(quiet=True), job.spec.network, 1, 1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, drawn_cache: Path) -> Path:
    """A work folder with the finished run of a network, its record in `results` there."""
    work = tmp_path_factory.mktemp("trained")
    job = make_job(work, drawn_cache, postprocess=False)
    run = Trainer(job, progress(job), lambda: False)
    run.prepare()
    run.train()
    run.finish()
    save_run(job.results, *run_record(run, environment()))
    return work


def make_run(work: Path, cache: Path, stop: Callable[[], bool] = lambda: False) -> CrfRun:
    job = make_job(work, cache, postprocess=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    return CrfRun(job, progress(job), stop)


def all_but_two_trials(run: CrfRun) -> None:
    """Leave the state of a search, with made-up scores, of which two trials are left."""
    trials: list[search.Trial] = []
    while ahead := search.to_do(trials, "mIoU"):
        for parameters in ahead[0]:
            made_up = {"global_accuracy": 0.5, "class_accuracy": 0.5, "miou": 0.3}
            trials.append(search.Trial.model_validate({"parameters": parameters, "scores": made_up}))
    state = CrfState(iteration=len(trials) - 2, trials=trials[:-2], evaluate_s=100.0, segments=1)
    save_checkpoint(checkpoint_file(run.job.folder), tensors=state.tensors(), values=state.values())


def test_without_the_network_s_run_it_fails_and_says_which(tmp_path: Path, drawn_cache: Path) -> None:
    job = make_job(tmp_path, drawn_cache, postprocess=True)
    assert execute(job, Console(quiet=True)).code == FAILED
    record = load_run(job.results / "runs" / job.spec.run_id).record
    assert record.failure is not None and record.failure.kind == "data"
    assert "deeplab-largefov-roads-s0-" in record.failure.message
    assert "has no finished record" in record.failure.message


def test_without_weights_it_fails_and_says_so(tmp_path: Path, drawn_cache: Path) -> None:
    run = make_run(tmp_path, drawn_cache)
    base = base_spec(run.spec)
    record = RunRecord(
        run_id=base.run_id, spec=base, status="finished", reduced=(), best_iteration=4, device="CPU", environment={}
    )
    nothing = History(iteration=[], loss=[], lr=[], validation=[])
    save_run(run.job.results, record, {"history.json": to_json(nothing)})
    with pytest.raises(BaseRunMissing, match=rf"weights of {base.run_id} are gone \(final.safetensors"):
        run.prepare()


@pytest.mark.slow
def test_a_run_from_stop_to_record(trained: Path, drawn_cache: Path) -> None:
    """Stopped within a trial and within scoring, resumed each time; the record is any run's, with the CRF's part."""
    looks = 0

    def stop() -> bool:
        nonlocal looks
        looks += 1
        return looks == 5

    run = make_run(trained, drawn_cache)
    run.prepare()  # writes the logits
    all_but_two_trials(run)
    stopped = make_run(trained, drawn_cache, stop)
    stopped.prepare()
    with pytest.raises(Interrupted):
        stopped.train()
    assert stopped.state.iteration == search.TRIALS - 2

    # from the logits alone
    for weights in (trained / "runs").glob("*/*.safetensors"):
        if not weights.name.startswith("logits"):
            weights.rename(weights.with_suffix(".away"))
    halfway = make_run(trained, drawn_cache, lambda: bool(halfway.state.evaluations))
    halfway.prepare()
    halfway.train()
    with pytest.raises(Interrupted):
        halfway.finish()
    assert [one.split for one in halfway.state.evaluations] == ["val"]
    job = stopped.job
    latest = checkpoint_file(job.folder)
    shutil.copy(latest, previous(latest))
    latest.write_bytes(b"PK\x03\x04")  # as if the disk had lost a part
    assert execute(job, Console(quiet=True)).code == FINISHED
    stored, base = load_run(job.results / "runs" / job.spec.run_id), find_base_run(job).record
    record = stored.record
    assert record.timing is not None and record.timing.segments == 4 and record.timing.total_s > 100.0
    assert record.run_id.startswith("deeplab-largefov-dense-crf-roads-s0-") and record.run_id != base.run_id
    assert (record.parameters, record.best_iteration) == (base.parameters, base.best_iteration)
    assert {(e.split, e.boundary) for e in record.evaluations} == {("val", False), ("test", True)}
    assert any(BEST in e.labels for e in record.evaluations if e.split == "test")
    assert len(record.image_ids) == 3 and all(stored.prediction_path(stem).exists() for stem in record.image_ids)
    assert sum(file.stat().st_size for file in stored.folder.iterdir()) < 150_000
    for evaluation in record.evaluations:
        matrices = stored.matrices(evaluation)
        plain = load_run(job.results / "runs" / base.run_id)
        same = next(e for e in base.evaluations if e.key == evaluation.key)
        np.testing.assert_array_equal(matrices.sum(2), plain.matrices(same).sum(2))  # the same labels
        assert (matrices != plain.matrices(same)).any()
    assert record.crf is not None
    assert record.crf.base_run == base.run_id and len(record.crf.search) == search.TRIALS
    assert len(record.crf.search_image_ids) == 20 and record.crf.time.images == 10
    assert record.crf.parameters in [trial.parameters for trial in record.crf.search]
    assert 0 < record.crf.without.miou < 1
    tested = next(e for e in record.evaluations if e.split == "test")
    assert 0 < scores(stored.matrices(tested).sum(0)).miou < 1
    assert [path.name for path in job.folder.iterdir()] == ["heartbeat"]
