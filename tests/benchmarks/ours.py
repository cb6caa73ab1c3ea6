"""The jobs of our side: what the harness does in training, evaluation and scoring, called as it calls it."""

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

import architectures
import datasets
import datasets.cache
from datasets import VOID
from harness.config.initial_weights import HE
from harness.config.protocol import Protocol, load_protocol
from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.data.split import DeviceDataset, batch_indices
from harness.metrics import BoundaryPool, dataset_bf, scores
from harness.profiling.roofline import measure_peaks, moved_bytes
from harness.profiling.timing import synchronize
from harness.training.amp import apply_precision, autocast
from harness.training.evaluator import image_matrices, label_maps
from harness.training.losses.cross_entropy import masked_cross_entropy
from harness.training.model import build_network
from harness.training.optimizers import build_optimizer
from harness.training.progress import RunProgress
from harness.training.trainer import Trainer
from tests.benchmarks.sides import Job, JobTable, Settings, seconds, timed

SEED = 0
# How far made-up predictions are moved against the labels, in pixels down and right.
SHIFT = (3, 3)


def protocol_of(settings: Settings) -> Protocol:
    """CamVid's protocol at the wanted size and batch."""
    height, width = settings.size
    return load_protocol("camvid@2").override({"size": f"{height}x{width}", "batch_size": str(settings.batch)})


def run_job(settings: Settings) -> WorkerJob:
    """A run of SegNet on CamVid, as a worker process is handed it."""
    data = datasets.load("camvid", "train", settings.data_root)
    spec = RunSpec(
        architecture="segnet",
        architecture_revision=architectures.info("segnet").revision,
        dataset="camvid",
        dataset_variant=data.variant,
        dataset_hash=data.content_hash,
        num_classes=data.info.num_classes,
        protocol=protocol_of(settings),
        seed=SEED,
        initial_weights=HE,
        precision=settings.precision,
    )
    return WorkerJob(
        spec=spec,
        request=RunRequest(
            device=settings.device,
            threads=settings.threads,
            results=settings.work / "results",
            work=settings.work,
            data_root=str(settings.data_root),
        ),
    )


def split(settings: Settings, name: str) -> DeviceDataset:
    """A split as a run opens it, decoded into the cache if it is not there yet."""
    dataset = datasets.load("camvid", name, settings.data_root)
    return DeviceDataset(dataset, protocol_of(settings), settings.work / "cache", torch.device(settings.device))


class BareStep:
    """Forward, loss, backward and optimizer on one batch at hand, and nothing else."""

    def __init__(self, settings: Settings) -> None:
        job, data = run_job(settings), split(settings, "train")
        torch.set_num_threads(settings.threads)
        apply_precision(settings.precision)
        torch.manual_seed(SEED)
        self._precision = settings.precision
        self._device = torch.device(settings.device)
        self._model, _ = build_network(job, data.label_size)
        self._model.train()
        self._optimizer = build_optimizer(self._model, job.spec.protocol)
        indices = np.arange(settings.batch)
        self._images, self._targets = data.images(indices), data.targets(indices, settings.size)
        torch.backends.cudnn.benchmark = True  # shapes are fixed

    def __call__(self) -> float:
        """One step; its loss."""
        with autocast(self._precision, self._device):
            logits = self._model(self._images)
        loss = masked_cross_entropy(logits, self._targets)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimizer.step()
        return loss.item()


class _EndOfStep(Exception):
    """Leaves the training loop after one step, without the checkpoint of a stop."""


def overhead(settings: Settings) -> Job:
    """One step of a run's own training loop, and one bare step beside it; interleaved, the order swapped."""
    bare = BareStep(settings)
    job = run_job(settings)
    progress = RunProgress(Console(stderr=True), "segnet", job.spec.protocol.iterations, settings.batch)

    def stop() -> bool:
        raise _EndOfStep

    run = Trainer(job, progress, stop)
    run.prepare()
    rounds = 0

    def loop() -> None:
        try:
            run.train()
        except _EndOfStep:
            return

    def step() -> tuple[float, ...]:
        nonlocal rounds
        rounds += 1
        if rounds % 2:
            own = seconds(loop)
            return own, seconds(bare)
        other = seconds(bare)
        return seconds(loop), other

    return Job(step=step)


def network(settings: Settings) -> nn.Module:
    """SegNet in evaluation mode, folded and in the layout that is wanted."""
    torch.set_num_threads(settings.threads)
    apply_precision(settings.precision)
    torch.manual_seed(SEED)
    model: nn.Module = architectures.build("segnet", 11, settings.size)
    model.eval()
    if settings.folded:
        from architectures.folding import fold_batch_norm

        model = fold_batch_norm(model)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    return model.to(settings.device)


def inference(settings: Settings) -> Job:
    """A forward pass as `harness.training.evaluator` has it, on a batch at hand."""
    model = network(settings)
    images = split(settings, "train").images(np.arange(settings.batch))
    if settings.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def forward() -> None:
        with autocast(settings.precision, images.device):
            model(images)
        synchronize(images.device)

    return timed(forward)


def share_of_peak(settings: Settings) -> Job:
    """A bare training step, and the time that its operations would take at the device's matrix peak.

    The peak is that of a matrix product in the same precision, timed in the same process beside each step.
    """
    bare, device = BareStep(settings), torch.device(settings.device)
    flop, _ = moved_bytes(
        lambda: architectures.build("segnet", 11, settings.size),
        settings.size,
        batch=settings.batch,
        training=True,
        num_classes=11,
        precision=settings.precision,
    )

    def step() -> tuple[float, ...]:
        taken = seconds(bare)
        return taken, flop / (measure_peaks(device, settings.precision).matmul_tflops * 1e12)

    return Job(step=step)


def reading(settings: Settings) -> Job:
    """An epoch of the training split out of the cache: pixels and labels, uint8, in shuffled batches."""
    protocol = protocol_of(settings)
    dataset = datasets.load("camvid", "train", settings.data_root)
    stored = datasets.cache.open_split(dataset, protocol.size, settings.work / "cache")

    def epoch() -> int:
        read = 0
        for iteration in range(-(-len(stored) // settings.batch)):
            indices = batch_indices(SEED, iteration, settings.batch, len(stored))
            read += len(stored.images[indices]) + len(stored.labels[indices])
        return read

    return timed(epoch)


def batches(settings: Settings) -> Job:
    """An epoch of the training split as the network and the loss take it: float32 and int64."""
    torch.set_num_threads(settings.threads)
    data = split(settings, "train")

    def epoch() -> int:
        read = 0
        for iteration in range(-(-len(data) // settings.batch)):
            indices = batch_indices(SEED, iteration, settings.batch, len(data))
            read += len(data.images(indices)) + len(data.targets(indices, settings.size))
        return read

    return timed(epoch)


def predict(settings: Settings) -> Job:
    """Put the predictions of test images and their labels into the file of predictions.

    With weights: SegNet's, at the size it was trained at. Without: the labels themselves, moved.
    """
    data = split(settings, "test")
    model = None
    if settings.weights is not None:
        from harness.training.checkpoint import load_weights

        model = network(settings)
        load_weights(settings.weights, model, None)

    @torch.inference_mode()
    def write() -> None:
        predictions, labels = [], []
        for number in range(settings.images):
            label = data.labels(np.array([number]))
            if model is None:
                moved = torch.where(label == VOID, 0, label).roll(SHIFT, (1, 2))
                predictions.append(moved[0].numpy())
            else:
                logits: Tensor = model(data.images(np.array([number])))
                predictions.append(label_maps(logits, data.label_size)[0].numpy())
            labels.append(label[0].numpy())
        np.savez(settings.predictions, predictions=np.stack(predictions), labels=np.stack(labels))

    return timed(write)


def scoring(settings: Settings) -> Job:
    """G, C, mIoU and exact BF of predictions at hand, as `harness.training.evaluator` scores them."""
    torch.set_num_threads(settings.threads)
    with np.load(settings.predictions) as stored:
        predictions, labels = stored["predictions"], stored["labels"]
    found: list[str] = []

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
        values = (result.global_accuracy, result.class_accuracy, result.miou, dataset_bf(boundary))
        found[:] = [f"{value:.4f}" for value in values]

    def explain() -> list[str]:
        return ["the scores themselves: G {}, C {}, mIoU {}, BF {}".format(*found)] if found else []

    return timed(score, explain)


JOBS: JobTable = {
    "training": lambda settings: timed(BareStep(settings)),
    "share-of-peak": share_of_peak,
    "overhead": overhead,
    "inference": inference,
    "reading": reading,
    "batches": batches,
    "predict": predict,
    "scoring": scoring,
}
