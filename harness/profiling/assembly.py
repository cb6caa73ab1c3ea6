"""From the results of processes to a measurement of a record."""

from collections.abc import Sequence
from datetime import UTC, datetime

from harness.profiling.presets import PLANS
from harness.profiling.work import WorkerResult
from harness.records.measurement import METHOD, TIMED, Failure, Measurement, MeasurementKey, Preset
from harness.records.measurement_values import Timing
from harness.system.quantities import Quantity

_UNKNOWN = Quantity(reason="the process ended before")


def measurement_of(
    key: MeasurementKey, results: Sequence[WorkerResult], failure: Failure | None, preset: Preset
) -> Measurement:
    """The measurement that one or more processes make, of which each took some of the rounds.

    Args:
        key: phase and batch.
        results: what each process left, in order; those of a failed one may be missing.
        failure: why there are no figures.
        preset: whose plan the rounds followed.
    """
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
            "load_average_before": results[0].load_average_before if results else _UNKNOWN,
            "load_average_after": results[-1].load_average_after if results else _UNKNOWN,
            "flags": flags,
        }
    )


def _timing(results: Sequence[WorkerResult], preset: Preset) -> tuple[Timing, list[str]]:
    # torch is imported by these; a report that only reads records has no need of this module
    from harness.profiling.sampling import joined_windows
    from harness.profiling.timing import summarize, timing_warnings

    rounds = [one for result in results for one in result.rounds]
    summary = summarize(
        [one.samples_ms for one in rounds],
        warmup_n=sum(result.warmup_n for result in results),
        warmup_s=sum(result.warmup_s for result in results),
    )
    last = results[-1]
    timing = Timing(
        time=summary,
        processes=len(results),
        window=joined_windows([result.window for result in results]),
        energy=last.energy,
        roofline=last.roofline,
        outside_kernels=last.outside_kernels,
        compile_s=last.compile_s,
    )
    return timing, timing_warnings(summary, rounds, PLANS[preset], all(result.steady for result in results))
