"""From what processes found to a cell of a record."""

from collections.abc import Sequence
from datetime import UTC, datetime

from harness.profiling.presets import PLANS
from harness.profiling.work import Found
from harness.records.measurement import TIMED, Cell, CellKey, Failure, Preset
from harness.records.measurement_values import Timing
from harness.system.quantities import Quantity

_UNKNOWN = Quantity(reason="the process ended before")


def cell_of(key: CellKey, founds: Sequence[Found], failure: Failure | None, preset: Preset) -> Cell:
    """The cell that one or more processes make, of which each took some of the rounds.

    Args:
        key: phase and batch.
        founds: what each process left, in order; those of a failed cell may be missing.
        failure: why there are no figures.
        preset: whose plan the rounds followed.
    """
    flags = tuple(dict.fromkeys(flag for found in founds for flag in found.flags))
    cell = Cell(
        key=key,
        measured_at=founds[0].measured_at if founds else datetime.now(UTC).isoformat(timespec="seconds"),
        wall_s=round(sum(found.wall_s for found in founds), 1),
        failure=failure or Failure(kind="error", message="not yet put together"),
        load_average_before=founds[0].load_average_before if founds else _UNKNOWN,
        load_average_after=founds[-1].load_average_after if founds else _UNKNOWN,
        flags=flags,
    )
    if failure is not None:
        return cell
    last = founds[-1]
    if key.phase not in TIMED:
        return _filled(cell, {"shapes": last.shapes, "memory": last.memory})
    timing, doubts = _timing(founds, preset)
    return _filled(cell, {"timing": timing, "flags": (*doubts, *flags)})


def _filled(cell: Cell, fields: dict[str, object]) -> Cell:
    return Cell.model_validate({**dict(cell), "failure": None, **fields})


def _timing(founds: Sequence[Found], preset: Preset) -> tuple[Timing, list[str]]:
    # torch is imported by these; a report that only reads records has no need of this module
    from harness.profiling.timing import doubts, summarize
    from harness.profiling.windows import joined_windows

    rounds = [one for found in founds for one in found.rounds]
    summary = summarize(
        [one.samples_ms for one in rounds],
        warmup_n=sum(found.warmup_n for found in founds),
        warmup_s=sum(found.warmup_s for found in founds),
    )
    last = founds[-1]
    timing = Timing(
        time=summary,
        processes=len(founds),
        window=joined_windows([found.window for found in founds]),
        energy=last.energy,
        roofline=last.roofline,
        outside_kernels=last.outside_kernels,
        compile_s=last.compile_s,
    )
    return timing, doubts(summary, rounds, PLANS[preset], all(found.steady for found in founds))
