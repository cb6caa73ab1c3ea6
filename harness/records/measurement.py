"""Measurements: what one is of, what it leaves, and where that lies.

`results/measurements/<device>/<architecture>-<H>x<W>-k<classes>-<precision>[-<option>]-<preset>.json`: one
record of many measurements, each a phase at a batch that a process of its own has made. The files call them
cells, and so do the fields. Importing this module does not import torch. Bytes are bytes, times are milliseconds,
MB is 10^6 bytes as in the paper's Table 6.
"""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

import architectures
from harness.config.run_spec import TF32_ON_CPU, Precision
from harness.records.measurement_values import DeviceMemory, Shapes, Timing
from harness.records.store import Manifest, Shelf, Stored, with_manifests
from harness.system.environment import Device, available_cores, device_slug
from harness.system.quantities import Frozen, NotMeasured, Quantity

Preset = Literal["full", "lease", "cpu", "quick"]
# Variants that are measured beside the plain network, in rows of their own. adamw: the optimizer.
Option = Literal["channels-last", "compiled", "folded", "adamw"]
Optimizer = Literal["sgd", "adamw"]
# shapes: what is counted without running anything. end-to-end: host image to label map on the host.
# backward: `loss.backward()` alone. training-step: forward, loss, backward and optimizer.
Phase = Literal["shapes", "inference-memory", "training-memory", "forward", "end-to-end", "backward", "training-step"]
PHASES: tuple[Phase, ...] = get_args(Phase)
TIMED: tuple[Phase, ...] = ("forward", "end-to-end", "backward", "training-step")
INFERENCE: tuple[Phase, ...] = ("inference-memory", "forward", "end-to-end")
TRAINING: tuple[Phase, ...] = ("training-memory", "backward", "training-step")

PAPER_SIZE = (360, 480)
INFERENCE_BATCH = 1
TRAINING_BATCH = 4  # of training memory, as in the paper
TIME_BATCH = 1
THROUGHPUT_BATCH = 8
STEP_BATCH = 5  # of CamVid's protocol
# Revision of the way to measure; docs/measuring.md says what changed.
METHOD = 3
IMAGES = 8  # different ones, cycled through for times
SEED = 0
MOMENTUM = 0.9


class MeasureSpec(Frozen):
    """What a record is of: an architecture on a device, at one size, precision and preset."""

    architecture: str = Field(min_length=1)
    architecture_revision: int = Field(ge=1)
    architecture_source: str = Field("", description="SHA-256 of a plugin's target and sources")
    num_classes: int = Field(11, ge=2)
    size: tuple[int, int] = Field(PAPER_SIZE, description="input height and width")
    precision: Precision = "fp32"
    options: tuple[Option, ...] = Field((), description="in the order of `Option`, each at most once")
    device: Device
    preset: Preset
    threads: int = Field(default_factory=available_cores, ge=1, description="torch's threads on the CPU")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if min(self.size) < 1:
            raise ValueError(f"size {self.size}: height and width must be at least 1")
        if self.precision == "tf32" and self.device == "cpu":
            raise ValueError(TF32_ON_CPU)
        if list(self.options) != [one for one in get_args(Option) if one in self.options]:
            raise ValueError(f"options {self.options}: give each once, in the order {get_args(Option)}")
        return self

    @property
    def optimizer(self) -> Optimizer:
        """Of the training step."""
        return "adamw" if "adamw" in self.options else "sgd"

    @property
    def file_name(self) -> str:
        """Name of the record within the device's folder."""
        name = architectures.file_name(self.architecture)
        if self.architecture_source:
            name = f"{name}-{self.architecture_source[:8]}"
        height, width = self.size
        made = "-".join([self.precision, *self.options, self.preset])
        return f"{name}-{height}x{width}-k{self.num_classes}-{made}.json"


class MeasurementKey(Frozen):
    """A phase at a batch: what one process measures."""

    phase: Phase
    batch_size: int = Field(ge=1)

    def __str__(self) -> str:
        return f"{self.phase} at batch {self.batch_size}"


class Failure(Frozen):
    """Why a measurement has no figures. What is impossible is so for the network, on any machine."""

    kind: Literal["oom", "error", "impossible"]
    message: str = Field(min_length=1, description="such as 'OOM at batch 4'")


# -- records ------------------------------------------------------------------------------------------------


class Measurement(Frozen):
    """What one phase at one batch left: one of shapes, memory and timing, by its phase, or a failure."""

    key: MeasurementKey
    measured_at: str = Field(description="start, UTC, ISO 8601")
    wall_s: float = Field(ge=0)
    method: int = Field(1, ge=1, description="revision of the way to measure, `METHOD` of that time")
    environment: int = Field(0, ge=0, description="number of its manifest in the record")
    failure: Failure | None = None
    shapes: Shapes | None = None
    memory: DeviceMemory | None = None
    timing: Timing | None = None
    load_average_before: Quantity = Field(description="over 1 minute")
    load_average_after: Quantity = Field(description="over 1 minute")
    flags: tuple[str, ...] = Field((), description="warnings, one sentence each")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        filled = [name for name in ("failure", "shapes", "memory", "timing") if getattr(self, name)]
        phase = self.key.phase
        wanted = "timing" if phase in TIMED else "shapes" if phase == "shapes" else "memory"
        if filled not in ([wanted], ["failure"]):
            raise ValueError(f"{self.key} has {' and '.join(filled) or 'nothing'}; wanted: {wanted}")
        return self


class MeasurementRecord(Stored):
    """What measuring leaves: measurements, with all that they were made on."""

    schema_version: Literal[2] = 2
    spec: MeasureSpec
    device_name: str
    device_slug: str
    reduced: bool = Field(description="input size differs from the paper's 360 x 480")
    cells: tuple[Measurement, ...] = Field(min_length=1, description="in the order of `PHASES`, then of batches")
    environments: tuple[Manifest, ...] = Field(
        min_length=1,
        description="machine and software, harness.system.environment.environment; measurements say which",
    )
    settings: dict[str, Any] = Field(description="backend switches, input, optimizer")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.reduced != (self.spec.size != PAPER_SIZE):
            raise ValueError(f"reduced is {self.reduced} at size {self.spec.size}")
        keys = [cell.key for cell in self.cells]
        if keys != sorted(set(keys), key=_order):
            raise ValueError("measurements must stand once each, in the order of phases and batches")
        if any(cell.environment >= len(self.environments) for cell in self.cells):
            raise ValueError("a measurement names an environment that is not there")
        return self

    @property
    def file_name(self) -> str:
        """Path of the record in its folder."""
        return f"{self.device_slug}/{self.spec.file_name}"

    def outdated(self, cell: Measurement) -> tuple[str, ...]:
        """What of a measurement means something else than it would mean now, a sentence each."""
        if cell.method >= METHOD or cell.failure:
            return ()
        reasons, bf16_inference = [], self.spec.precision == "bf16" and cell.key.phase in INFERENCE
        if cell.memory and bf16_inference and self.spec.device == "cpu":
            reasons.append("the process's peak was that of converting weights to bf16, not of a pass")
        if cell.method < 2:
            if cell.timing and self.spec.device == "cuda":
                reasons.append("percentiles are an artefact: every tenth sample began on an idle GPU")
                if not isinstance(cell.timing.energy, NotMeasured):
                    reasons.append("energy was measured on noise instead of images")
            if bf16_inference:
                reasons.append("weights were converted to bf16 at every pass")
        return tuple(reasons)

    @property
    def failures(self) -> tuple[Measurement, ...]:
        """Cells that failed."""
        return tuple(cell for cell in self.cells if cell.failure)

    @property
    def flags(self) -> tuple[str, ...]:
        """Warnings of all measurements, each after the name of its measurement."""
        return tuple(f"{cell.key}: {flag}" for cell in self.cells for flag in (*cell.flags, *self.outdated(cell)))

    @property
    def shapes(self) -> Shapes | None:
        """What follows from shapes alone, if that was measured."""
        return next((cell.shapes for cell in self.cells if cell.shapes), None)

    def cell(self, phase: Phase, batch: int) -> Measurement | None:
        """The measurement of a phase and batch, a failed one too."""
        key = MeasurementKey(phase=phase, batch_size=batch)
        return next((cell for cell in self.cells if cell.key == key), None)

    def reason(self, phase: Phase, batch: int) -> str:
        """Why a measurement has no figures."""
        cell = self.cell(phase, batch)
        return cell.failure.message if cell and cell.failure else f"not measured: {phase} at batch {batch}"


def _order(key: MeasurementKey) -> tuple[int, int]:
    return PHASES.index(key.phase), key.batch_size


def joined(
    record: MeasurementRecord | None,
    new: MeasurementRecord,
) -> MeasurementRecord:
    """One record with the measurements of both; one of the new takes the place of the old one's.

    Raises:
        ValueError: records of different specs.
    """
    if record is None:
        return new
    if record.spec != new.spec:
        raise ValueError(f"{record.spec.file_name} and {new.spec.file_name} are not of one spec")
    replaced = {cell.key for cell in new.cells}
    kept = [cell for cell in record.cells if cell.key not in replaced]
    cells, manifests = with_manifests(((kept, record.environments), (new.cells, new.environments)))
    ordered = tuple(sorted(cells, key=lambda cell: _order(cell.key)))
    return MeasurementRecord.model_validate({**dict(new), "cells": ordered, "environments": manifests})


def settings(spec: MeasureSpec) -> dict[str, Any]:
    """How the networks are run, as far as the spec does not say it."""
    return {
        "cudnn_benchmark": {"memory": False, "time": True},
        "tf32": {"matmul": spec.precision == "tf32", "cudnn": spec.precision == "tf32"},
        "autocast": "bfloat16, weights converted once for inference" if spec.precision == "bf16" else None,
        "seed": SEED,
        "input": f"{IMAGES} drawn scenes of the dataset roads, scaled; {IMAGES} batches of them cycled for times, "
        "1 for memory",
        "loss": "mean cross-entropy at the logits' own size",
        "optimizer": f"SGD, momentum {MOMENTUM}, fused, learning rate 0"
        if spec.optimizer == "sgd"
        else "AdamW, fused, learning rate 0",
    }


MEASUREMENTS = Shelf(MeasurementRecord, "measurements", "a measurement record", "remove it, and measure anew")
measurements_folder, save_measurement, read_record = MEASUREMENTS.folder, MEASUREMENTS.save, MEASUREMENTS.read


def measurement_path(results: Path, spec: MeasureSpec, slug: str | None = None) -> Path:
    """Where the record of a spec lies; `slug` names the device's folder, by default this machine's.

    Raises:
        UserError: no slug given, and this machine has no such device.
    """
    return measurements_folder(results) / (slug or device_slug(spec.device)) / spec.file_name


def load_measurements(results: Path) -> tuple[list[MeasurementRecord], list[str]]:
    """All measurements below the results folder, sorted by path, and a line on each unreadable file."""
    unreadable: list[str] = []
    return MEASUREMENTS.load(results, unreadable.append), unreadable
