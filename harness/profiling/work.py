"""What passes between the process that schedules a measurement and those that carry it out, and what comes of it.

Importing this module does not import torch.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from harness.profiling.presets import PLANS
from harness.records.measurement import METHOD, TIMED, Failure, Measurement, MeasurementKey, MeasureSpec, Preset
from harness.records.measurement_values import DeviceMemory, DeviceWindow, Energy, Roofline, Shapes, Timing
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


class RoundSamples(Frozen):
    """One round as it was taken: all samples, and the share of its wall time that no event covers."""

    samples_ms: tuple[float, ...] = Field(min_length=1)
    uncovered_share: float


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
    rounds: tuple[RoundSamples, ...] = ()
    warmup_n: int = 0
    warmup_s: float = 0.0
    steady: bool = True
    window: DeviceWindow | NotMeasured = NotMeasured(reason="measured on a CPU")
    energy: Energy | NotMeasured = NotMeasured(reason="measured on a CPU")
    roofline: Roofline | NotMeasured = NotMeasured(reason="the process ended before")
    outside_kernels: Quantity = Quantity(reason="the process ended before")
    compile_s: Quantity = Quantity(reason="not compiled")


def measurement_of(
    key: MeasurementKey, results: Sequence[WorkerResult], failure: Failure | None, preset: Preset
) -> Measurement:
    """The measurement that one or more processes make, of which each took some of the rounds, in order.

    The results of a failed one may be missing; failure says why there are no figures.
    """
    unknown = Quantity(reason="the process ended before")
    flags = tuple(dict.fromkeys(flag for result in results for flag in result.flags))
    if failure is not None:
        filled: dict[str, object] = {"failure": failure}
    elif key.phase in TIMED:
        timing, warnings = _timing(results, preset)
        filled, flags = {"timing": timing}, (*warnings, *flags)
    else:
        filled = {"shapes": results[-1].shapes, "memory": results[-1].memory}
    return Measurement.model_validate(
        {
            **filled,
            "key": key,
            "method": METHOD,
            "measured_at": results[0].measured_at if results else datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_s": round(sum(result.wall_s for result in results), 1),
            "load_average_before": results[0].load_average_before if results else unknown,
            "load_average_after": results[-1].load_average_after if results else unknown,
            "flags": flags,
        }
    )


def _timing(results: Sequence[WorkerResult], preset: Preset) -> tuple[Timing, Sequence[str]]:
    # these import torch, which the process that schedules needs no earlier
    from harness.profiling.sampling import joined_windows
    from harness.profiling.timing import WarmUp, timed_rounds

    warmed = WarmUp(
        samples=sum(result.warmup_n for result in results),
        seconds=sum(result.warmup_s for result in results),
        steady=all(result.steady for result in results),
    )
    timed = timed_rounds([one for result in results for one in result.rounds], warmed, PLANS[preset])
    last = results[-1]
    timing = Timing(
        time=timed.time,
        processes=len(results),
        window=joined_windows([result.window for result in results]),
        energy=last.energy,
        roofline=last.roofline,
        outside_kernels=last.outside_kernels,
        compile_s=last.compile_s,
    )
    return timing, timed.warnings
