"""The jobs of the plain side."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tests.benchmarks.plain.data import VOID, CamVid, loader
from tests.benchmarks.plain.scores import score
from tests.benchmarks.plain.segnet import SegNet
from tests.benchmarks.sides import Job, JobTable, Settings, timed

CLASSES = 11


def split(settings: Settings, name: str, normalize: bool = True) -> CamVid:
    """A split at the wanted size."""
    folder = Path(settings.data_root) / "CamVid"
    size = None if settings.size == (360, 480) else settings.size
    return CamVid(folder, name, size, normalize)


def batch(settings: Settings) -> tuple[Tensor, Tensor]:
    """The first images of the training split and their labels."""
    dataset = split(settings, "train")
    items = [dataset[index] for index in range(settings.batch)]
    images = torch.stack([image for image, _ in items])
    return images.to(settings.device), torch.stack([label for _, label in items]).to(settings.device)


def training(settings: Settings) -> Job:
    """A training step on a batch at hand: SGD with momentum, mean cross-entropy."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    model = SegNet(CLASSES).to(settings.device)
    model.train()
    images, labels = batch(settings)
    criterion = nn.CrossEntropyLoss(ignore_index=VOID)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step() -> float:
        optimizer.zero_grad()
        loss: Tensor = criterion(model(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        return loss.item()

    def explain() -> list[str]:
        with profile(activities=[ProfilerActivity.CPU]) as taken:
            step()
        own = {event.key: float(event.self_cpu_time_total) for event in taken.key_averages()}
        share = sum(time for name, time in own.items() if "convolution" in name) / sum(own.values())
        return [
            f"{100 * share:.0f} % of one profiled plain step is in torch's convolutions, which both sides "
            "call: a side that got all the rest for nothing would still take that much"
        ]

    return timed(step, explain)


def inference(settings: Settings) -> Job:
    """A forward pass without gradients on a batch at hand."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    model = SegNet(CLASSES).to(settings.device)
    model.eval()
    images, _ = batch(settings)

    def forward() -> None:
        with torch.no_grad():
            model(images)
        if settings.device == "cuda":
            torch.cuda.synchronize()

    return timed(forward)


def reading(settings: Settings, normalize: bool) -> Job:
    """An epoch of the training split, decoded."""
    torch.set_num_threads(settings.threads)
    batches = loader(split(settings, "train", normalize), settings.batch, settings.workers)

    def epoch() -> int:
        return sum(len(images) for images, _ in batches)

    return timed(epoch)


def scoring(settings: Settings) -> Job:
    """G, C, mIoU and BF of predictions at hand."""
    with np.load(settings.predictions) as stored:
        predictions, labels = list(stored["predictions"]), list(stored["labels"])
    return timed(lambda: score(predictions, labels, CLASSES))


JOBS: JobTable = {
    "training": training,
    "inference": inference,
    "reading": lambda settings: reading(settings, normalize=False),
    "batches": lambda settings: reading(settings, normalize=True),
    "scoring": scoring,
}
