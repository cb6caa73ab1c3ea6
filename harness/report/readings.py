"""What several tables and plots read out of a measurement record beyond single facts."""

from typing import Literal

from harness.metrics.significance import Sample
from harness.records.measurement import INFERENCE_BATCH, TIME_BATCH, TRAINING_BATCH, MeasurementRecord, Phase
from harness.records.measurement_values import Live
from harness.system.quantities import NotMeasured, Quantity

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


def storage_bytes(record: MeasurementRecord) -> Quantity:
    """Bytes kept for the decoder of one image at the first pooled resolution, indices as 2-bit codes."""
    if record.shapes is None:
        return Quantity(reason=record.reason("shapes", INFERENCE_BATCH))
    found = record.shapes.decoder_storage.two_bit_bytes
    return Quantity(value=found[0]) if found else Quantity(reason="no network whose decoder the measurement knows")


def time_sample(record: MeasurementRecord, phase: Phase) -> Sample | NotMeasured:
    """The headline time of a pass, ms, with the noise that a comparison of it must exceed."""
    cell = record.cell(phase, TIME_BATCH)
    if cell is None or cell.timing is None:
        return NotMeasured(reason=record.reason(phase, TIME_BATCH))
    time = cell.timing.time
    spread = time.spread_percent / 100 * time.median_ms
    return Sample(values=(time.median_ms,), noise="rounds", spread=spread, processes=cell.timing.processes)
