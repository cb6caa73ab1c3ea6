"""The jobs of our side: what the harness does in training, evaluation and scoring, called as it calls it."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

import datasets
import datasets.cache
from architectures.folding import fold_batch_norm
from datasets import VOID
from harness.config.planning import plan
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.data.split import batch_indices
from harness.metrics import BoundaryPool, dataset_bf, scores
from harness.training.amp import autocast
from harness.training.evaluator import image_matrices
from harness.training.losses.cross_entropy import masked_cross_entropy
from harness.training.progress import RunProgress
from harness.training.trainer import Trainer
from tests.benchmarks.sides import Job, JobTable, Settings, seconds, timed

ROOT = Path(__file__).resolve().parent.parent.parent
SHIFT = (3, 3)  # of predictions against the labels, in pixels down and right


class _EndOfStep(Exception):
    """Leaves the training loop after one step, without the checkpoint of a stop."""


def run_of(settings: Settings) -> Trainer:
    """A run of SegNet on CamVid, ready to train; its training ends with each step, by _EndOfStep."""
    request = RunRequest(
        suite="camvid",
        protocol="camvid@2",
        architectures=("segnet",),
        encoder_weights=("none",),
        size="{}x{}".format(*settings.size),
        overrides=(f"batch_size={settings.batch}",),
        precision=settings.precision,
        device="cpu",
        threads=settings.threads,
        work=settings.work,
        data_root=str(settings.data_root),
    )
    [spec] = plan(request).specs
    progress = RunProgress(Console(file=io.StringIO()), "segnet", spec.protocol.iterations, settings.batch)

    def stop() -> bool:
        raise _EndOfStep

    run = Trainer(WorkerJob(spec=spec, request=request), progress, stop)
    run.prepare()
    return run


def bare_step(run: Trainer) -> Callable[[], float]:
    """Forward, loss, backward and optimizer on one batch at hand, and nothing else; gives its loss."""
    data, indices = run.data["train"], np.arange(run.protocol.batch_size)
    images, targets = data.images(indices), data.targets(indices, data.input_size)
    run.model.train()

    def step() -> float:
        with autocast(run.spec.precision, run.device):
            logits = run.model(images)
        loss = masked_cross_entropy(logits, targets)
        run.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        run.optimizer.step()
        return loss.item()

    return step


def overhead(settings: Settings) -> Job:
    """One step of a run's own training loop, and one bare step beside it; the order is swapped each time."""
    run = run_of(settings)
    bare = bare_step(run)

    def loop() -> None:
        with suppress(_EndOfStep):
            run.train()

    def step() -> tuple[float, ...]:
        if run.state.iteration % 2:
            other = seconds(bare)
            return seconds(loop), other
        return seconds(loop), seconds(bare)

    return Job(step=step)


def inference(settings: Settings) -> Job:
    """A forward pass as `harness.training.evaluator` has it, on a batch at hand, with folded batch norm if wanted."""
    run = run_of(settings)
    images = run.data["train"].images(np.arange(settings.batch))
    model = fold_batch_norm(run.model.eval()) if settings.folded else run.model.eval()

    @torch.inference_mode()
    def forward() -> None:
        with autocast(settings.precision, run.device):
            model(images)

    return timed(forward)


def _epoch(settings: Settings, images: int, read: Callable[[Any], object]) -> Job:
    def epoch() -> None:
        for iteration in range(-(-images // settings.batch)):
            read(batch_indices(0, iteration, settings.batch, images))

    return timed(epoch)


def reading(settings: Settings) -> Job:
    """An epoch of the training split out of the cache in shuffled batches: pixels and labels, uint8."""
    size = None if settings.size == (360, 480) else settings.size
    stored = datasets.cache.open_split(
        datasets.load("camvid", "train", settings.data_root), size, settings.work / "cache"
    )
    return _epoch(settings, len(stored), lambda indices: (stored.images[indices], stored.labels[indices]))


def batches(settings: Settings) -> Job:
    """The same as the network and the loss take it: float32 and int64."""
    data = run_of(settings).data["train"]
    return _epoch(settings, len(data), lambda indices: (data.images(indices), data.targets(indices, settings.size)))


def scoring(settings: Settings) -> Job:
    """G, C, mIoU and exact BF, as `harness.training.evaluator` scores them, of predictions that both sides get.

    They are made up: labels of the test split, moved.
    """
    torch.set_num_threads(settings.threads)
    test = datasets.load("camvid", "test", settings.data_root)
    labels = np.stack([test[index][1] for index in range(settings.images)])
    predictions = np.roll(np.where(labels == VOID, 0, labels), SHIFT, (1, 2))
    np.savez(settings.predictions, predictions=predictions, labels=labels)
    found: list[float] = []

    def score() -> None:
        matrices = []
        with BoundaryPool(11) as pool:
            for start in range(0, len(labels), settings.batch):
                maps, truth = (part[start : start + settings.batch] for part in (predictions, labels))
                matrices.append(image_matrices(torch.from_numpy(maps), torch.from_numpy(truth), 11).numpy())
                for one, other in zip(maps, truth, strict=True):
                    pool.submit(one, other)
            boundary = pool.results()
        result = scores(np.concatenate(matrices).sum(0))
        found[:] = [result.global_accuracy, result.class_accuracy, result.miou, dataset_bf(boundary)]

    def explain() -> list[str]:
        return ["the scores themselves: G {:.4f}, C {:.4f}, mIoU {:.4f}, BF {:.4f}".format(*found)]

    return timed(score, explain)


def command(settings: Settings) -> Job:
    """`python -m harness WORDS` in the repository with the default environment, its output dropped."""
    # a report is made from the records alone: no panels from a dataset that happens to be there
    environment = {name: value for name, value in os.environ.items() if name != "SEGNET_DATA_ROOT"}
    words = [sys.executable, "-m", "harness", *settings.words]
    quiet = subprocess.DEVNULL
    return timed(lambda: subprocess.run(words, check=True, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet))


JOBS: JobTable = {
    "training": lambda settings: timed(bare_step(run_of(settings))),
    "overhead": overhead,
    "inference": inference,
    "reading": reading,
    "batches": batches,
    "scoring": scoring,
    "command": command,
}
