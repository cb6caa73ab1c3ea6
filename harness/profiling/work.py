"""What passes between the process that schedules a measurement and those that carry it out.

Importing this module does not import torch.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from harness.records.measurement import Failure, MeasurementKey, MeasureSpec
from harness.records.measurement_values import DeviceMemory, DeviceWindow, Energy, Roofline, Shapes
from harness.system.quantities import Frozen, NotMeasured, Quantity

# What a worker says, a line each, and what it is asked.
PHASE, READY, DONE = "phase: ", "ready", "done"
PREPARE, ROUND, FINALIZE, END = "prepare", "round", "finalize", "end"


class Task(Frozen):
    """One process's share of a measurement."""

    spec: MeasureSpec
    key: MeasurementKey
    idle_w: Mapping[str, Quantity] = Field({}, description="idle power of each GPU, by UUID")
    others: Mapping[str, str] = Field({}, description="others' use of each GPU, by UUID")


class WorkerResult(Frozen):
    """What a process leaves of a measurement; rounds of several processes are put together later."""

    device_name: str
    device_slug: str
    environment: dict[str, Any]
    measured_at: str
    wall_s: float
    load_average_before: Quantity
    load_average_after: Quantity
    flags: tuple[str, ...] = ()
    failure: Failure | None = None
    shapes: Shapes | None = None
    memory: DeviceMemory | None = None
    rounds: tuple["RoundSamples", ...] = ()
    warmup_n: int = 0
    warmup_s: float = 0.0
    steady: bool = True
    window: DeviceWindow | NotMeasured = NotMeasured(reason="measured on a CPU")
    energy: Energy | NotMeasured = NotMeasured(reason="measured on a CPU")
    roofline: Roofline | NotMeasured = NotMeasured(reason="the process ended before")
    outside_kernels: Quantity = Quantity(reason="the process ended before")
    compile_s: Quantity = Quantity(reason="not compiled")


class RoundSamples(Frozen):
    """One round as it was taken: all samples, and the share of its wall time that no event covers."""

    samples_ms: tuple[float, ...] = Field(min_length=1)
    uncovered_share: float


WorkerResult.model_rebuild()
