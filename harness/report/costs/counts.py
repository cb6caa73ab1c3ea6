"""Multiply-accumulates and parameters of a network, from the records of measuring."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import architectures
from harness.records.measurement import MeasurementRecord, MeasureSpec
from harness.records.measurement_values import Shapes
from harness.report.wording import extent
from harness.system.quantities import NotMeasured


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a network needs for one image.

    gmacs, training_gmacs: 10^9 multiply-accumulates of a forward pass, and of forward and backward pass.
    basis: how the figures were come by where they were not counted at the very size and number of classes.
    """

    parameters: int
    gmacs: float
    training_gmacs: float
    basis: str = ""


def current(records: Iterable[MeasurementRecord]) -> list[MeasurementRecord]:
    """The records of the architectures' present revisions; those that a plugin registers are left out."""
    return [record for record in records if _revision(record) == record.spec.architecture_revision]


def _revision(record: MeasurementRecord) -> int | None:
    try:
        return architectures.info(record.spec.architecture).revision
    except architectures.ArchitectureError:
        return None


def counts_of(
    records: Sequence[MeasurementRecord], architecture: str, size: tuple[int, int], num_classes: int
) -> Counts | NotMeasured:
    """The counts of an architecture at a size (H, W), by the record that comes nearest.

    Convolutions cost in proportion to pixels, so that counts at another size are multiplied by the ratio of
    pixels; not those of a network that is built for one size.
    """
    fixed = architectures.info(architecture).fixed_size
    found: list[tuple[tuple[float, bool], MeasureSpec, Shapes]] = []
    for record in records:
        spec, shapes = record.spec, record.shapes
        if spec.architecture == architecture and shapes is not None and (spec.size == size or not fixed):
            distance = (apart(spec.size, size), spec.num_classes != num_classes)
            found.append((distance, spec, shapes))
    if not found:
        return NotMeasured(reason="not counted")
    _, spec, shapes = min(found, key=lambda entry: entry[0])
    ratio = math.prod(size) / math.prod(spec.size)
    return Counts(
        parameters=shapes.parameters,
        gmacs=shapes.gmacs * ratio,
        training_gmacs=shapes.training_gmacs * ratio,
        basis=_basis(spec, shapes, size, num_classes),
    )


def apart(one: tuple[int, int], other: tuple[int, int]) -> float:
    """How far two sizes are from each other: the logarithm of the ratio of their pixels."""
    return abs(math.log(math.prod(one) / math.prod(other)))


def _basis(spec: MeasureSpec, shapes: Shapes, size: tuple[int, int], num_classes: int) -> str:
    parts = []
    if spec.size != size:
        ratio = math.prod(size) / math.prod(spec.size)
        parts.append(f"counted at {extent(spec.size)}, times {ratio:.4g}")
    if spec.num_classes != num_classes:
        parts.append(f"counted with {spec.num_classes} classes, not {num_classes}")
    return "; ".join(parts)
