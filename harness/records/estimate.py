"""How long a planned run takes: multiply-accumulates of its images over the rates measured on the device.

A GMAC is 10^9 multiply-accumulates. Importing this module imports no torch.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import architectures
from harness.config.protocol import Protocol
from harness.config.run_spec import RunSpec
from harness.records.measurement import MeasurementRecord, MeasureSpec
from harness.records.measurement_values import Shapes
from harness.system.environment import Device, device_name, device_slug
from harness.system.quantities import NotMeasured

Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A device as records name it, and torch's threads on it where it is a CPU."""

    device: Device
    name: str
    slug: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Hours of training and scoring one run, undisturbed, to its protocol's last iteration.

    notes: in what the counts or the rates are of other settings than the run's.
    measured: the records that the rates are of.
    """

    hours: float
    notes: tuple[str, ...]
    measured: tuple[MeasurementRecord, ...]


def this_machine(device: Device, threads: int) -> Machine:
    """The machine that this process runs on. UserError: "cuda" where torch finds no CUDA device."""
    return Machine(device=device, name=device_name(device), slug=device_slug(device), threads=threads)


def images(protocol: Protocol, splits: Mapping[str, int]) -> tuple[int, int]:
    """Images through training steps, and through forward passes alone, as harness.training.trainer makes them.

    The second is an upper bound: it counts a scoring of the best iteration apart from those that the protocol
    reports, and a re-estimation of batch-norm statistics for networks without them too.
    """
    points, batch, reported = protocol.evaluation_points(), protocol.batch_size, set(protocol.report_at.values())
    test = splits["test"] if protocol.score_test else 0
    reestimated = math.ceil(splits["train"] / batch) * batch  # the last batch is filled up
    scored = len(points) * (reestimated + splits["val"]) + len(reported) * test
    scored += splits["val"] + test if set(points) - reported else 0  # at the best iteration
    scored += splits["train"] * (protocol.score_train + protocol.score_train_selected)
    return protocol.iterations * batch, scored


def estimate(
    spec: RunSpec, records: Sequence[MeasurementRecord], machine: Machine | NotMeasured
) -> Estimate | NotMeasured:
    """The hours of a run on a machine, or why they can't be told; without a machine, why there is none.

    Counts may come from any device; rates only from this one: of the architecture itself if it was timed there,
    else the median of the others; of the run's precision if there are any; of the nearest size.
    """
    if isinstance(machine, NotMeasured):
        return machine
    if spec.postprocess:
        return NotMeasured(reason="the time of the dense CRF does not follow from multiply-accumulates")
    info = spec.dataset_info
    size = spec.protocol.size or info.size
    if isinstance(timed := _timed_there(spec, size, records, machine), NotMeasured):
        return timed
    if isinstance(counted := _counts(spec, size, records), NotMeasured):
        return counted
    shapes, notes = counted
    forward, training = (statistics.median(kind) for kind in zip(*map(_rates, timed), strict=True))
    trained, scored = images(spec.protocol, info.splits)
    seconds = trained * shapes.training_gmacs / training + scored * shapes.gmacs / forward
    return Estimate(hours=seconds / 3600, notes=(*notes, *_notes(spec, size, timed)), measured=tuple(timed))


def _counts(spec: RunSpec, size: Size, records: Sequence[MeasurementRecord]) -> tuple[Shapes, list[str]] | NotMeasured:
    """The architecture's counts, from the nearest size and if possible the same number of classes, with notes."""
    fixed = architectures.info(spec.architecture).fixed_size
    own = [(one.spec, one.shapes) for one in records if one.shapes is not None and _is_of(one, spec)]
    found = [(of, shapes) for of, shapes in own if _is_plain(of) and (of.size == size or not fixed)]
    if not found:
        options = f"--size {size[0]}x{size[1]} --classes {spec.num_classes} --phase shapes"
        command = f"python -m harness measure {spec.architecture} {options}"
        return NotMeasured(reason=f"multiply-accumulates are not counted: `{command}` does it")
    of, shapes = min(found, key=lambda one: (_distance(one[0].size, size), one[0].num_classes != spec.num_classes))
    ratio, notes = math.prod(size) / math.prod(of.size), []
    if of.size != size:
        notes.append(f"multiply-accumulates counted at {of.size[0]} x {of.size[1]}, scaled by pixels")
    if of.num_classes != spec.num_classes:
        notes.append(f"multiply-accumulates counted with {of.num_classes} classes, not {spec.num_classes}")
    scaled = {"gmacs": shapes.gmacs * ratio, "training_gmacs": shapes.training_gmacs * ratio}
    return shapes.model_copy(update=scaled), notes


def _timed_there(
    spec: RunSpec, size: Size, records: Sequence[MeasurementRecord], machine: Machine
) -> list[MeasurementRecord] | NotMeasured:
    """The records whose rates stand for a run's: the architecture's own, else one of each other architecture."""
    there = [one for one in records if one.device_slug == machine.slug]
    if not there:
        return NotMeasured(reason=f"nothing was measured on {machine.name}: `python -m harness measure` does it")
    with_threads = "" if machine.device == "cuda" else f" with --threads {machine.threads}"
    fit = [one for one in there if not with_threads or one.spec.threads == machine.threads]
    fit = [one for one in fit if _is_plain(one.spec) and _rates(one)]
    if not fit:
        what = f"no architecture has times of both forward pass and training step on {machine.name}{with_threads}"
        return NotMeasured(reason=f"{what}: `python -m harness measure` does it")
    fit = [one for one in fit if one.spec.precision == spec.precision] or fit
    fit = [one for one in fit if _is_of(one, spec)] or fit
    fit = [one for one in fit if one.spec.optimizer == spec.protocol.optimizer] or fit
    # presets of few samples last
    fit.sort(key=lambda one: (one.spec.preset == "quick", _distance(one.spec.size, size)))
    return list({(one.spec.architecture, one.spec.architecture_source): one for one in reversed(fit)}.values())


def _rates(record: MeasurementRecord) -> tuple[float, ...]:
    """GMAC a second of a forward pass, and of a training step or else a forward and a backward pass; or nothing."""
    forward, backward, step = (_times(record, phase) for phase in ("forward", "backward", "training-step"))
    training = step or {batch: forward[batch] + time for batch, time in backward.items() if batch in forward}
    if record.shapes is None or not forward or not training:
        return ()
    return record.shapes.gmacs / forward[max(forward)], record.shapes.training_gmacs / training[max(training)]


def _times(record: MeasurementRecord, phase: str) -> dict[int, float]:
    """Batch size -> median seconds an image."""
    timed = [
        (cell.key.batch_size, cell.timing.time) for cell in record.cells if cell.timing and cell.key.phase == phase
    ]
    return {batch: time.median_ms / 1e3 / batch for batch, time in timed}


def _notes(spec: RunSpec, size: Size, timed: Sequence[MeasurementRecord]) -> list[str]:
    """In what the rates are of other settings than the run's."""
    notes = []
    if not _is_of(timed[0], spec):
        others = "another architecture" if len(timed) == 1 else f"{len(timed)} other architectures (median)"
        notes.append(f"rates are of {others}, for its own was not timed")
    if sizes := sorted({one.spec.size for one in timed} - {size}):
        notes.append("rates measured at " + ", ".join(f"{height} x {width}" for height, width in sizes))
    if precisions := sorted({one.spec.precision for one in timed} - {spec.precision}):
        notes.append(f"rates measured in {', '.join(precisions)}, not {spec.precision}")
    if optimizers := sorted({one.spec.optimizer for one in timed} - {spec.protocol.optimizer}):
        notes.append(f"rates measured with {', '.join(optimizers)}, not {spec.protocol.optimizer}")
    if spec.compiled != "no":
        notes.append("rates measured without compiling")
    return notes


def _is_of(record: MeasurementRecord, spec: RunSpec) -> bool:
    names = ("architecture", "architecture_revision", "architecture_source")
    return all(getattr(record.spec, name) == getattr(spec, name) for name in names)


def _is_plain(measured: MeasureSpec) -> bool:
    """Whether nothing but the optimizer was varied, on which counts don't depend."""
    return not set(measured.options) - {measured.optimizer}


def _distance(one: Size, other: Size) -> float:
    """How far two sizes (H, W) are from each other: the logarithm of the ratio of their pixels."""
    return abs(math.log(math.prod(one) / math.prod(other)))
