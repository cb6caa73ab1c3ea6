"""What is compared with the PyTorch baseline on a CPU, how often, and what it should reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.records.speed import Target

PYTORCH_BASELINE = "the PyTorch baseline"
SMALL_SIZE = (90, 120)
BATCH = 5  # images, at most
EPOCH = 367  # images


@dataclass(frozen=True)
class Scale:
    """How much of it: rounds that count, images that one sample handles, rounds before those that count."""

    rounds: int
    images: int | None
    warmup: int = 1


@dataclass(frozen=True)
class Comparison:
    """One entry of the record.

    job: of both sides, by this name.
    full, small: at either size; regressions are judged at the small one. None: not compared there.
    target: at full size.
    changes: of both sides' settings.
    opponent: what ours is compared with; another than the PyTorch baseline our own side runs. None: nothing.
    """

    name: str
    title: str
    job: str
    full: Scale
    small: Scale | None
    target: Target | None
    changes: Mapping[str, Any] = field(default_factory=dict)
    opponent: str | None = PYTORCH_BASELINE


# By job, what one sample is.
SAMPLES = {
    "training": "forward, loss, backward and SGD with momentum on {images} CamVid images at hand, {size}",
    "inference": "evaluation mode, without gradients, {images} CamVid image at hand, {size}",
    "reading": "CamVid's training split, {size}, shuffled, until pixels and labels are there, uint8",
    "batches": "CamVid's training split, {size}, shuffled, until the network can take it, float32 and normalized",
    "scoring": "{images} made-up predictions at hand, test labels of 360 x 480 moved by 3 pixels down and right; ours "
    "matches boundaries one to one, the PyTorch baseline takes distance transforms, which is less",
    "command": "the whole process; a report is of the committed records, without the dataset",
    "overhead": "one turn of the harness's training loop on CamVid, {size}, batch {images}: reading, step, history, "
    "progress; against the same forward, loss, backward and optimizer on tensors at hand, both in one process",
}


def _ratio(at_most: float) -> Target:
    return Target(quantity="ratio", at_most=at_most)


def _seconds(at_most: float) -> Target:
    return Target(quantity="seconds", at_most=at_most)


def _network(
    name: str, title: str, full: Scale, small: Scale | None, target: Target | None, *, folded: bool = False
) -> Comparison:
    job, precision = name.split("-")[:2]
    return Comparison(name, title, job, full, small, target, {"precision": precision, "folded": folded})


def _epoch(job: str, title: str, workers: int, small: Scale | None, target: Target | None) -> Comparison:
    title = f"{title}, against {workers} workers"
    return Comparison(f"{job}-{workers}-workers", title, job, Scale(7, EPOCH), small, target, {"workers": workers})


def _command(name: str, title: str, rounds: int, target: Target, *words: str) -> Comparison:
    return Comparison(name, title, "command", Scale(rounds, None), None, target, {"words": words}, opponent=None)


FOLDERS = "--results", "results", "--reports", "work/performance/reports"
STEP, PASS, ALONE = "SegNet's training step", "SegNet's forward pass", Scale(15, 1, warmup=2)
# Small is what can show there that our code has got slower: of inputs so small folded batch norm, say, saves 3 %.
COMPARISONS = (
    _network("training-fp32", f"{STEP}, fp32", Scale(7, BATCH), Scale(5, 2), _ratio(0.93)),
    _network("training-fp32-alone", f"{STEP} on a single image, fp32", Scale(7, 1), None, _ratio(0.93)),
    _network("training-bf16", f"{STEP}, bf16", Scale(7, BATCH), Scale(5, 2), _ratio(0.47)),
    _network("inference-fp32", f"{PASS}, fp32", ALONE, Scale(7, 1, warmup=2), None),
    _network("inference-fp32-folded", f"{PASS}, fp32, folded batch norm", ALONE, None, None, folded=True),
    _network("inference-bf16", f"{PASS}, bf16", ALONE, None, _ratio(0.50)),
    _network("inference-bf16-folded", f"{PASS}, bf16, folded batch norm", ALONE, None, _ratio(0.42), folded=True),
    _epoch("reading", "Reading an epoch", 0, None, _ratio(0.1)),
    _epoch("reading", "Reading an epoch", 2, None, _ratio(0.1)),
    _epoch("batches", "An epoch of batches", 0, Scale(3, EPOCH), None),
    _epoch("batches", "An epoch of batches", 2, None, None),
    Comparison(
        "scoring", "G, C, mIoU and BF of predictions", "scoring", Scale(3, 233), Scale(2, 24, warmup=0), _seconds(8)
    ),
    _command("help", "`python -m harness --help`", 15, _seconds(0.5), "--help"),
    _command("report-camvid", "The report of suite camvid", 5, _seconds(10), "report", "--suite", "camvid", *FOLDERS),
    _command(
        "report-decoders", "The report of suite decoders", 5, _seconds(10), "report", "--suite", "decoders", *FOLDERS
    ),
    Comparison(
        "overhead",
        "A run's training step against the bare step",
        "overhead",
        Scale(7, BATCH),
        Scale(5, 2),
        _ratio(1.03),
        {"precision": "fp32"},
        "the bare step",
    ),
)
