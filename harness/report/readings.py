"""Readings: single figures out of a measurement record, each a number or the reason why there is none."""

from collections.abc import Callable
from typing import Literal

from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH, MeasurementRecord, Phase
from harness.records.measurement_values import Shapes, Timing
from harness.system.quantities import NotMeasured, Quantity

MIB = 2**20
# What memory is measured of, with the phase that holds the device's and its batch.
Use = Literal["inference", "training"]
MEMORY_CELLS: dict[Use, tuple[Phase, int]] = {
    "inference": ("inference-memory", INFERENCE_BATCH),
    "training": ("training-memory", TRAINING_BATCH),
}
# A number or words, or why there are none.
Figure = float | str | Quantity | NotMeasured


def shape_figure(record: MeasurementRecord, read: Callable[[Shapes], float]) -> Quantity:
    """A figure that follows from shapes alone."""
    if record.shapes is None:
        return Quantity(reason=record.reason("shapes", INFERENCE_BATCH))
    return Quantity(value=read(record.shapes))


def live_mib(record: MeasurementRecord, use: Use, part: str = "peak") -> Quantity:
    """A part of the live tensors at their peak, MiB; `part` is a field of `Live` without `_bytes`."""

    def read(shapes: Shapes) -> float:
        live = shapes.training_live if use == "training" else shapes.inference_live
        return float(getattr(live, f"{part}_bytes")) / MIB

    return shape_figure(record, read)


def memory_mib(record: MeasurementRecord, use: Use, field: str) -> Quantity:
    """A field of `DeviceMemory`, MiB."""
    phase, batch = MEMORY_CELLS[use]
    cell = record.cell(phase, batch)
    if cell is None or cell.memory is None:
        return Quantity(reason=record.reason(phase, batch))
    found: Quantity = getattr(cell.memory, field)
    return found if found.value is None else Quantity(value=found.value / MIB)


def timing(record: MeasurementRecord, phase: Phase, batch: int) -> Timing | None:
    """The figures of a timed cell; none where it failed or was not measured."""
    cell = record.cell(phase, batch)
    return cell.timing if cell else None


def time_figure(record: MeasurementRecord, phase: Phase, batch: int, read: Callable[[Timing], Figure]) -> Figure:
    """A figure of a timed cell."""
    found = timing(record, phase, batch)
    return Quantity(reason=record.reason(phase, batch)) if found is None else read(found)


def median_ms(record: MeasurementRecord, phase: Phase, batch: int) -> Quantity:
    """The headline time of a pass, milliseconds."""
    found = timing(record, phase, batch)
    if found is None:
        return Quantity(reason=record.reason(phase, batch))
    return Quantity(value=found.time.median_ms)


def energy_per_image_mj(record: MeasurementRecord, phase: Phase, batch: int) -> Quantity:
    """Energy above idle of a pass over its batch, millijoules an image."""
    found = timing(record, phase, batch)
    if found is None:
        return Quantity(reason=record.reason(phase, batch))
    if isinstance(found.energy, NotMeasured):
        return Quantity(reason=found.energy.reason)
    above = found.energy.above_idle_mj
    return above if above.value is None else Quantity(value=above.value / batch)


def as_cells(name: str, figure: Figure) -> dict[str, object]:
    """Cells `name` and `name_reason` of a frame's row."""
    if isinstance(figure, NotMeasured):
        return {name: None, f"{name}_reason": figure.reason}
    if isinstance(figure, Quantity):
        return {name: figure.value, f"{name}_reason": figure.reason}
    return {name: figure, f"{name}_reason": None}
