"""Logits kept in files: what is read back, and what is not taken for it."""

from pathlib import Path

import pytest
import torch

import datasets
from harness.config.request import RunRequest
from harness.config.run_spec import refined
from harness.config.worker_job import WorkerJob
from harness.data.split import DeviceDataset
from harness.postprocess.crf.base_run import BaseRun, BaseRunMissing, Checkpoint, base_spec
from harness.postprocess.crf.logits import load_logits, write_logits
from harness.records.run import BEST, Evaluation, RunRecord
from harness.training.checkpoint import save_weights
from harness.training.model import build_network
from tests.harness.commands import link_cache
from tests.harness.helpers import spec, tiny_protocol

SHORT = tiny_protocol(size="32x40")


def make_job(work: Path, cache: Path) -> WorkerJob:
    link_cache(work, cache)
    return WorkerJob(
        spec=spec(architecture="deeplab-largefov", protocol=SHORT),
        request=RunRequest(device="cpu", threads=1, results=work / "results", work=work),
    )


def checkpoint_of(job: WorkerJob, iteration: int = 4) -> Checkpoint:
    return Checkpoint(iteration=iteration, labels=(BEST,), weights=job.folder / "final.safetensors", folder=job.folder)


def val(job: WorkerJob) -> DeviceDataset:
    dataset = datasets.load("roads", "val", None)
    return DeviceDataset(dataset, job.spec.protocol, job.cache, torch.device("cpu"))


@pytest.mark.slow
def test_logits_are_those_of_the_weights_at_the_network_s_own_stride(tmp_path: Path, drawn_cache: Path) -> None:
    job = make_job(tmp_path, drawn_cache)
    data, checkpoint = val(job), checkpoint_of(job)
    torch.manual_seed(1)
    model, _ = build_network(job, data.label_size)
    save_weights(checkpoint.weights, model)
    done: list[int] = []
    path = write_logits(job, checkpoint, "val", data, done.append)
    assert path.name == "logits-val-000004.safetensors" and sum(done) == 40
    stored = load_logits(path, job.spec.run_id, "val", tuple(data.image_ids))
    assert stored is not None and stored.images == 40
    model.eval()
    indices = next(iter(data.in_order(2)))
    with torch.inference_mode():
        expected = model(data.images(indices))
    assert stored[1].shape == (11, 4, 5) and stored[1].dtype == torch.float32
    torch.testing.assert_close(stored[1], expected[1], atol=2e-3, rtol=2e-3)


def test_what_is_of_something_else_or_damaged_is_not_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "logits.safetensors"
    about = {"run_id": "run", "split": "val", "image_ids": '["a", "b"]'}
    save_file({"logits": torch.zeros(2, 3, 4, 5).half()}, path, metadata=about)
    assert load_logits(path, "run", "val", ("a", "b")) is not None
    assert load_logits(path, "other", "val", ("a", "b")) is None
    assert load_logits(path, "run", "test", ("a", "b")) is None
    assert load_logits(path, "run", "val", ("a", "c")) is None
    assert load_logits(tmp_path / "missing.safetensors", "run", "val", ("a", "b")) is None
    path.write_bytes(path.read_bytes()[:40])
    assert load_logits(path, "run", "val", ("a", "b")) is None


def test_weights_that_are_gone_are_named(tmp_path: Path, drawn_cache: Path) -> None:
    job = make_job(tmp_path, drawn_cache)
    with pytest.raises(BaseRunMissing, match=r"weights of deeplab-largefov-roads.* are gone"):
        write_logits(job, checkpoint_of(job), "val", val(job))


@pytest.mark.parametrize(("best", "expected"), [(4, [(4, "final")]), (2, [(2, "best-000002"), (4, "final")])])
def test_the_chosen_weights_come_first_then_the_last(best: int, expected: list[tuple[int, str]]) -> None:
    run = spec(protocol=SHORT)
    evaluations = [("test", 4, ("end",) if best != 4 else ("end", BEST)), ("test", 2, (BEST,))]
    record = RunRecord(
        run_id=run.run_id,
        spec=run,
        status="finished",
        reduced=(),
        best_iteration=best,
        evaluations=tuple(
            Evaluation.model_validate(
                {"split": split, "iteration": at, "labels": labels, "images": 1, "boundary": True}
            )
            for split, at, labels in evaluations
            if at in (4, best)
        ),
        device="CPU",
        environment={},
    )
    base = BaseRun(record=record, folder=Path("work"))
    assert [(one.iteration, one.weights.stem) for one in base.checkpoints] == expected
    assert BEST in base.chosen.labels and base.checkpoint(4).labels[0] == "end"
    with pytest.raises(ValueError, match="not 3"):
        base.checkpoint(3)


def test_the_refined_run_knows_the_run_it_refines() -> None:
    plain = spec(protocol=SHORT)
    assert base_spec(refined(plain)) == plain
