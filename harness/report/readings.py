"""Readings: single figures out of a measurement record, each a number or the reason why there is none."""

from collections.abc import Callable
from typing import Literal

from harness.metrics.significance import Sample
from harness.records.measurement import INFERENCE_BATCH, TIME_BATCH, TRAINING_BATCH, MeasurementRecord, Phase
from harness.records.measurement_values import Live, Shapes, Timing
from harness.system.quantities import NotMeasured, Quantity

MIB = 2**20
# The parts of the live tensors, as `Live` names them.
LIVE_PARTS = tuple(
    name.removesuffix("_bytes") for name in Live.model_fields if name.endswith("_bytes") and name != "peak_bytes"
)
# What memory is measured of, with the phase that holds the device's and its batch.
Use = Literal["inference", "training"]
MEMORY_CELLS: dict[Use, tuple[Phase, int]] = {
    "inference": ("inference-memory", INFERENCE_BATCH),
    "training": ("training-memory", TRAINING_BATCH),
}


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


def storage_bytes(record: MeasurementRecord) -> Quantity:
    """Bytes kept for the decoder of one image at the first pooled resolution, indices as 2-bit codes."""
    if record.shapes is None:
        return Quantity(reason=record.reason("shapes", INFERENCE_BATCH))
    found = record.shapes.decoder_storage.two_bit_bytes
    return Quantity(value=found[0]) if found else Quantity(reason="no network whose decoder the measurement knows")


def time_sample(record: MeasurementRecord, phase: Phase) -> Sample | NotMeasured:
    """The headline time of a pass, ms, with the noise that a comparison of it must exceed."""
    found = timing(record, phase, TIME_BATCH)
    if found is None:
        return NotMeasured(reason=record.reason(phase, TIME_BATCH))
    time = found.time
    spread = time.spread_percent / 100 * time.median_ms
    return Sample(values=(time.median_ms,), noise="rounds", spread=spread, processes=found.processes)
