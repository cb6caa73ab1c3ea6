"""What goes into carrying out a plan and what comes of it; the measurements beside the runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

import datasets
from datasets.cache import open_split
from harness.config.run_spec import RunSpec
from harness.config.worker_job import HEARTBEAT_TIMEOUT_S
from harness.config.world import WorldInfo
from harness.launchers import worker
from harness.profiling.scheduler import Request, cell_keys, measure_cells
from harness.records.estimate import Estimate, Machine, estimate
from harness.records.measurement import MeasureSpec, Preset, load_measurements
from harness.records.run import finished, load_run, runs_folder
from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.locks import measuring_on_this_machine
from harness.system.quantities import NotMeasured
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """Where things are read and written, on what is computed, and until when.

    weights: files of initial weights by `InitialWeights.key`.
    deadline_s: end of the budget by time.monotonic; none without one.
    heartbeat_timeout_s: without a sign of life a run is ended after so long.
    member: the leading one of several processes that carry out each run together; none: there is one.
    """

    results: Path
    reports: Path
    work: Path
    data_root: str | None
    weights: Mapping[str, Path]
    device: Device
    threads: int
    tensorboard: bool = False
    deadline_s: float | None = None
    heartbeat_timeout_s: float = HEARTBEAT_TIMEOUT_S
    member: WorldInfo | None = None


@dataclass(kw_only=True)
class Outcome:
    """What became of a plan."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    stopped: bool = False
    time_limit_reached: bool = False

    def add(self, other: "Outcome") -> None:
        """Count another part of the plan in."""
        self.done += other.done
        self.skipped += other.skipped
        self.failed += other.failed
        self.stopped |= other.stopped
        self.time_limit_reached |= other.time_limit_reached

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 75 where the budget is used up, 1 if anything failed, else 0."""
        if self.stopped or self.time_limit_reached:
            return STOPPED if self.stopped else TIME_LIMIT_REACHED
        return worker.FAILED if self.failed else worker.FINISHED


def status_of(results: Path, spec: RunSpec) -> str:
    """`finished`, `to do`, or that with what is known: a failure, or a damaged record."""
    if finished(results, spec) is not None:
        return "finished"
    if not (runs_folder(results) / spec.run_id).exists():
        return "to do"
    try:
        failure = load_run(runs_folder(results) / spec.run_id).record.failure
    except ValueError:
        failure = None
    return f"to do (failed before: {failure.message})" if failure else "to do (its record is damaged)"


def print_plan(specs: Sequence[RunSpec], results: Path, console: Console, machine: Machine | NotMeasured) -> None:
    """The plan for a terminal of any width: what all runs share, a table of the rest, hours of what is left to do.

    Args:
        specs: the runs.
        results: the results folder, whose records tell what is finished and how fast the machine is.
        console: where to print.
        machine: whose time is estimated, or why none is.
    """
    each = [_traits(spec) for spec in specs]
    shared = [text for text in each[0] if all(text in traits for traits in each)]
    console.print(f"{len(specs)} runs, all of them: {', '.join(shared)}", soft_wrap=True, highlight=False, markup=False)
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
    table.add_column("hours, about", justify="right")
    for spec, differs, status, hours in zip(specs, rest, statuses, estimates, strict=True):
        cells = [spec.run_id, *([differs] if any(rest) else []), status]
        cells.append("" if status == "finished" else _hours(hours.hours) if isinstance(hours, Estimate) else "n/a")
        table.add_row(*(escape(cell) for cell in cells))
    console.print(table)
    left = [hours for hours, status in zip(estimates, statuses, strict=True) if status != "finished"]
    for line in _on_hours(left, machine):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    for _, reason in unreadable:
        console.print(f"left out: {reason}", soft_wrap=True, highlight=False, markup=False)


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
    compiled = [] if spec.compiled == "no" else [f"compiled ({spec.compiled})"]
    changes = [f"{field}={value}" for field, value in protocol.overrides.items()]
    start = f"initial weights {spec.initial_weights.title}"
    return [
        f"data {spec.dataset_variant}",
        f"protocol {protocol.name}",
        *changes,
        f"seed {spec.seed}",
        spec.precision,
        *compiled,
        start,
    ]


def prepare_data(specs: Sequence[RunSpec], context: RunContext, console: Console) -> None:
    """Decode every split once before anything is trained, so that bad data shows at once.

    Raises:
        datasets.DatasetError: an image or label that can't be used, or a cache that can't be written.
    """
    wanted = sorted({(spec.dataset, spec.protocol.size) for spec in specs}, key=str)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for name, size in wanted:
            for split, images in datasets.info(name).splits.items():
                task = progress.add_task(f"decoding {name} {split}", total=images)

                def show(done: int, total: int, task: TaskID = task) -> None:
                    progress.update(task, completed=done, total=total)

                open_split(datasets.load(name, split, context.data_root), size, context.work / "cache", show)
                progress.remove_task(task)


def measurement_requests(specs: Sequence[RunSpec], context: RunContext, preset: Preset) -> list[Request]:
    """What to measure beside these runs: each architecture once, at the size it was trained at."""
    wanted = {}
    for spec in specs:
        size = spec.protocol.size or datasets.info(spec.dataset).size
        measured = MeasureSpec(
            architecture=spec.architecture,
            architecture_revision=spec.architecture_revision,
            architecture_source=spec.architecture_source,
            num_classes=spec.num_classes,
            size=size,
            precision=spec.precision,
            device=context.device,
            preset=preset,
            threads=context.threads,
        )
        keys = cell_keys(measured, step_batch=spec.protocol.batch_size)
        wanted[spec.architecture] = Request(spec=measured, keys=keys)
    return list(wanted.values())


def measure_all(
    requests: Sequence[Request], results: Path, console: Console, again: bool = False, wait: bool = False
) -> Outcome:
    """Measure the cells that are not finished yet, and show how far it is.

    Args:
        requests: what to measure.
        results: the results folder.
        console: where to say what is going on.
        again: measure even what was measured before.
        wait: until other processes of the harness have ended.

    Raises:
        UserError: others train or measure here, and waiting is not wanted.
    """
    outcome = Outcome()

    def on_wait() -> None:
        console.print("waiting until other processes of the harness have ended: times need the machine alone")

    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with (
        measuring_on_this_machine(on_wait if wait else None),
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=None)

        def show(what: str) -> None:
            progress.update(task, description=what, advance=1)
            if not console.is_terminal:
                console.print(what, highlight=False, soft_wrap=True)

        try:
            tally = measure_cells(
                requests,
                results,
                again=again,
                on_plan=lambda turns: progress.update(task, total=turns),
                on_turn=show,
            )
        except KeyboardInterrupt:
            outcome.stopped = True
            return outcome
    outcome.done, outcome.skipped, outcome.failed = tally.done, tally.before, len(tally.failed)
    for line in tally.failed:
        console.print(f"FAILED: {line}", highlight=False, soft_wrap=True)
    console.print(
        f"measured {tally.done} cells; {tally.before} were measured before, {len(tally.failed)} failed",
        highlight=False,
    )
    return outcome


def pick_device(wanted: str) -> Device:
    """`auto` takes a CUDA device if torch can use one.

    Raises:
        UserError: cuda was asked for and is not there.
    """
    if wanted == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise UserError("device cuda: torch finds no usable CUDA device here; use --device cpu")
    return "cpu"
