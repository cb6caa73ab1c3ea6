"""What `run --dry-run` prints: the plan, what is finished of it, and about how long the rest takes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.config.run_spec import RunSpec
from harness.launchers.steps import status_of
from harness.records.estimate import Estimate, Machine, estimate
from harness.records.measurement import load_measurements
from harness.system.console import say
from harness.system.quantities import NotMeasured


def print_plan(specs: Sequence[RunSpec], results: Path, console: Console, machine: Machine | NotMeasured) -> None:
    """The plan for a terminal of any width: what all runs share, a table of the rest, hours of what is left to do.

    The records in the results folder tell what is finished and how fast the machine is.
    """
    each = [_traits(spec) for spec in specs]
    shared = [text for text in each[0] if all(text in traits for traits in each)]
    say(console, f"{len(specs)} runs, all of them: {', '.join(shared)}" if specs[1:] else f"1 run: {', '.join(shared)}")
    statuses = [status_of(results, spec) for spec in specs]
    records, unreadable = load_measurements(results)
    estimates = [estimate(spec, records, machine) for spec in specs]
    table = Table(box=SIMPLE_HEAD)
    longest = max(len(spec.run_id) for spec in specs)
    table.add_column("run", overflow="fold", no_wrap=longest <= console.width // 2)
    rest = [", ".join(text for text in traits if text not in shared) for traits in each]
    if any(rest):
        table.add_column("where they differ", overflow="fold")
    table.add_column("status", overflow="fold")
    table.add_column("hours", justify="right")
    for spec, differs, status, hours in zip(specs, rest, statuses, estimates, strict=True):
        cells = [spec.run_id, *([differs] if any(rest) else []), status]
        cells.append("" if status == "finished" else _hours(hours.hours) if isinstance(hours, Estimate) else "n/a")
        table.add_row(*map(Text, cells))
    console.print(table)
    left = [hours for hours, status in zip(estimates, statuses, strict=True) if status != "finished"]
    for line in _on_hours(left, machine):
        say(console, line)
    for reason in unreadable:
        say(console, f"left out: {reason}")


def _hours(hours: float) -> str:
    if hours < 0.005:
        return "< 0.01"
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.1f}" if hours >= 1 else f"{hours:.2f}"


def _on_hours(left: Sequence[Estimate | NotMeasured], machine: Machine | NotMeasured) -> Iterator[str]:
    """The total of the runs that are left, what it is from, and why some have no estimate."""
    found = [one for one in left if isinstance(one, Estimate)]
    if found and isinstance(machine, Machine):
        measured = [record for one in found for record in one.measured]
        dates = sorted({cell.measured_at[:10] for record in measured for cell in record.cells})
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        presets = ", ".join(sorted({record.spec.preset for record in measured}))
        yield (
            f"about {_hours(sum(one.hours for one in found))} hours on {machine.name}, one run after another, "
            f"for {len(found)} of {len(left)} runs left, from measurements of {when}, preset {presets}"
        )
    for note, runs in Counter(note for one in found for note in one.notes).items():
        yield f"{runs} of {len(left)} runs: {note}"
    for reason, runs in Counter(one.reason for one in left if isinstance(one, NotMeasured)).items():
        yield f"{runs} of {len(left)} runs have no estimate: {reason}"


def _traits(spec: RunSpec) -> list[str]:
    """What a run is, but for its network, which its id begins with."""
    protocol = spec.protocol
    return [
        f"data {spec.dataset_variant}",
        f"protocol {protocol.name}",
        *(f"{field}={value}" for field, value in protocol.overrides.items()),
        f"seed {spec.seed}",
        spec.precision,
        *([] if spec.compiled == "no" else [f"compiled ({spec.compiled})"]),
        f"initial weights {spec.initial_weights.title}",
    ]
