"""What is compared with the PyTorch baseline, how often, and what it should reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.records.speed import Target
from harness.system.environment import Device

OURS, PLAIN, COMMANDS = "tests.benchmarks.ours", "tests.benchmarks.plain.side", "tests.benchmarks.commands"
FULL_SIZE, SMALL_SIZE = (360, 480), (90, 120)
PYTORCH_BASELINE = "the PyTorch baseline"
TRAIN_IMAGES = 367
# A CPU that emulates bfloat16 takes minutes for a step.
EMULATED_ROUNDS = 1

Sample = Literal["batch", "training split", "predictions", "command"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of it: rounds that count, rounds before them, images a batch, predictions scored."""

    rounds: int
    warmup: int = 1
    batch: int = 5
    images: int = 233


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One entry of the record.

    what: what one sample is; {batch}, {images} and {size} are put in.
    sample: what one sample handles, whose number of images stands in the record.
    module, job: our side's; the plain side's job has the same name.
    opponent: what ours is compared with; none: nothing.
    own_opponent: whether our side's process runs the opponent too.
    changes: settings of both sides; ours: of our side alone.
    target: at full size, on a CPU unless the comparison is a GPU's alone; small_target: whether it holds at
        the small size too.
    devices: on which it is carried out.
    """

    name: str
    title: str
    what: str
    job: str
    full: Scale
    small: Scale
    sample: Sample = "batch"
    module: str = OURS
    opponent: str | None = PYTORCH_BASELINE
    own_opponent: bool = False
    precision: Literal["fp32", "bf16"] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    ours: Mapping[str, Any] = field(default_factory=dict)
    target: Target | None = None
    small_target: bool = False
    devices: tuple[Device, ...] = ("cpu", "cuda")

    def scale(self, small: bool, emulated: bool) -> Scale:
        """How much of it at this size; less where bfloat16 is emulated."""
        scale = self.small if small else self.full
        if self.precision == "bf16" and emulated:
            return replace(scale, rounds=min(scale.rounds, EMULATED_ROUNDS), warmup=0, batch=1)
        return scale

    def sample_images(self, scale: Scale) -> int | None:
        """Images that one sample handles."""
        counts = {"batch": scale.batch, "training split": TRAIN_IMAGES, "predictions": scale.images}
        return counts.get(self.sample)


def _ratio(at_most: float) -> Target:
    return Target(quantity="ratio", at_most=at_most)


def _seconds(at_most: float) -> Target:
    return Target(quantity="seconds", at_most=at_most)


def _training(
    precision: Literal["fp32", "bf16"], target: float | None, device: Device, alone: bool = False
) -> Comparison:
    """At the protocol's batch, or at a batch of one image."""
    return Comparison(
        name=f"training-{precision}{'-alone' if alone else ''}",
        devices=(device,),
        title=f"SegNet's training step{' on a single image' if alone else ''}, {precision}",
        what="forward, loss, backward and SGD with momentum on {batch} CamVid images at hand, {size}",
        job="training",
        precision=precision,
        ours={"precision": precision},
        full=Scale(rounds=7, batch=1 if alone else 5),
        small=Scale(rounds=9, warmup=2, batch=1 if alone else 2),
        target=None if target is None else _ratio(target),
    )


def _share_of_peak(precision: Literal["fp32", "bf16"], target: float | None, device: Device) -> Comparison:
    return Comparison(
        name=f"peak-{precision}",
        devices=(device,),
        title=f"SegNet's training step against the device's matrix peak, {precision}",
        what="a training step on {batch} CamVid images at hand, {size}, against its operations at the speed "
        "of a matrix product timed beside it; 4 is a quarter of the peak",
        job="share-of-peak",
        opponent="the same operations at the matrix peak",
        own_opponent=True,
        precision=precision,
        ours={"precision": precision},
        full=Scale(rounds=5),
        small=Scale(rounds=5, batch=2),
        target=None if target is None else _ratio(target),
    )


def _inference(
    precision: Literal["fp32", "bf16"],
    *,
    folded: bool = False,
    channels_last: bool = False,
    target: float | None = None,
) -> Comparison:
    marks = ["folded"] * folded + ["channels-last"] * channels_last
    words = ["folded batch norm"] * folded + ["channels-last"] * channels_last
    return Comparison(
        name="-".join(["inference", precision, *marks]),
        title=", ".join(["SegNet's forward pass", precision, *words]),
        what="evaluation mode, without gradients, {batch} CamVid image at hand, {size}",
        job="inference",
        precision=precision,
        ours={"precision": precision, "folded": folded, "channels_last": channels_last},
        full=Scale(rounds=15, warmup=2, batch=1),
        small=Scale(rounds=15, warmup=3, batch=1),
        target=None if target is None else _ratio(target),
    )


def _reading(job: str, title: str, what: str, workers: int, target: float | None) -> Comparison:
    return Comparison(
        name=f"{job}-{workers}-workers",
        title=f"{title}, against {workers} workers",
        what=f"CamVid's training split, {{size}}, shuffled, in batches of {{batch}}, {what}; the PyTorch baseline's "
        f"DataLoader has {workers} worker processes",
        job=job,
        sample="training split",
        changes={"workers": workers},
        full=Scale(rounds=7),
        small=Scale(rounds=3),
        target=None if target is None else _ratio(target),
    )


def _report(suite: str) -> Comparison:
    return Comparison(
        name=f"report-{suite}",
        title=f"The report of suite {suite}",
        what=f"`python -m harness report --suite {suite}` on the committed records, without the dataset",
        job="report",
        sample="command",
        module=COMMANDS,
        opponent=None,
        changes={"suite": suite},
        full=Scale(rounds=5),
        small=Scale(rounds=1, warmup=0),
        target=_seconds(10),
        small_target=True,
    )


COMPARISONS: tuple[Comparison, ...] = (
    _training("fp32", 0.93, "cpu"),
    _training("fp32", 0.93, "cpu", alone=True),
    _training("bf16", 0.47, "cpu"),
    _training("fp32", None, "cuda"),
    _training("bf16", 1 / 3, "cuda"),
    _share_of_peak("fp32", None, "cpu"),
    _share_of_peak("bf16", 4.0, "cuda"),
    _inference("fp32"),
    _inference("fp32", folded=True),
    _inference("fp32", folded=True, channels_last=True),
    _inference("bf16", target=0.50),
    _inference("bf16", folded=True, target=0.42),
    *(
        _reading("reading", "Reading an epoch", "until pixels and labels are there, uint8", workers, 0.1)
        for workers in (0, 2)
    ),
    *(
        _reading(
            "batches", "An epoch of batches", "until the network can take them, float32 and normalized", workers, None
        )
        for workers in (0, 2)
    ),
    Comparison(
        name="scoring",
        title="G, C, mIoU and BF of predictions",
        what="{images} test predictions at hand, 360 x 480, {predictions}; ours matches boundaries one to "
        "one, the PyTorch baseline takes distance transforms, which is less",
        job="scoring",
        sample="predictions",
        full=Scale(rounds=3),
        small=Scale(rounds=2, warmup=0, images=24),
        target=_seconds(8),
    ),
    Comparison(
        name="help",
        title="`python -m harness --help`",
        what="the whole process",
        job="help",
        sample="command",
        module=COMMANDS,
        opponent=None,
        full=Scale(rounds=15),
        small=Scale(rounds=5),
        target=_seconds(0.5),
        small_target=True,
    ),
    _report("camvid"),
    _report("decoders"),
    Comparison(
        name="overhead",
        title="A run's training step against the bare step",
        what="one turn of the harness's training loop on CamVid, {size}, batch {batch}: reading, step, "
        "history, progress; against the same forward, loss, backward and optimizer on tensors at hand, both "
        "in one process",
        job="overhead",
        opponent="the bare step",
        own_opponent=True,
        precision="fp32",
        full=Scale(rounds=7),
        small=Scale(rounds=9, warmup=2, batch=2),
        target=_ratio(1.03),
    ),
)


def on(device: Device) -> list[Comparison]:
    """The comparisons that are carried out on a device."""
    return [one for one in COMPARISONS if device in one.devices]
