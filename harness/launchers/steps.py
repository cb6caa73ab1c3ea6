"""The steps of a plan besides its runs: data decoded before them, costs measured after; what came of it all."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID

import datasets
from datasets.cache import open_split
from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.launchers import worker
from harness.profiling.presets import measurement_keys
from harness.profiling.scheduler import Request, run_measurements
from harness.records.measurement import MeasureSpec, Option, Preset
from harness.records.run import finished, load_run, runs_folder
from harness.system.console import progress, say, text_column
from harness.system.environment import Device, available_cores, may_have_gpu
from harness.system.errors import UserError, one_of
from harness.system.locks import measuring_on_this_machine
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED


@dataclass(kw_only=True)
class PlanResult:
    """What became of a plan."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    stopped: bool = False
    time_limit_reached: bool = False

    def add(self, other: "PlanResult") -> None:
        """Count another part of the plan in."""
        self.done += other.done
        self.skipped += other.skipped
        self.failed += other.failed
        self.stopped |= other.stopped
        self.time_limit_reached |= other.time_limit_reached

    def count(self, code: int) -> None:
        """Count a worker's exit code. Bad input counts as failed; a run left to another process does not."""
        self.stopped |= code == STOPPED
        self.time_limit_reached |= code == TIME_LIMIT_REACHED
        self.done += code == worker.FINISHED
        self.failed += code not in (worker.FINISHED, worker.ELSEWHERE, STOPPED, TIME_LIMIT_REACHED)

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


def prepare_data(specs: Sequence[RunSpec], request: RunRequest, console: Console) -> None:
    """Decode every split once before anything is trained, so that bad data shows at once.

    Raises:
        datasets.DatasetError: an image or label that can't be used, or a cache that can't be written.
    """
    wanted = {(spec.dataset, spec.protocol.size, spec.protocol.padding): spec.dataset_info for spec in specs}
    with progress(console) as bars:
        for (name, size, color), info in sorted(wanted.items(), key=str):
            for split, images in info.splits.items():
                task = bars.add_task(f"decoding {name} {split}", total=images)

                def show(done: int, total: int, task: TaskID = task) -> None:
                    bars.update(task, completed=done, total=total)

                dataset = datasets.load(name, split, request.data_root)
                stored = open_split(dataset, size, request.work / "cache", show, color)
                if not any((stored.labels[index] != datasets.VOID).any() for index in range(len(stored))):
                    raise datasets.DatasetError(
                        f"{name}: no pixel of the {len(stored):,} images of {split} has a class: nothing can be "
                        "trained or scored there; see `python -m harness data check`"
                    )
                bars.remove_task(task)


def measurement_requests(specs: Sequence[RunSpec], request: RunRequest, preset: Preset) -> list[Request]:
    """What to measure beside these runs: each architecture at the size and precision it was trained at.

    Once with SGD; where a run trains with AdamW, the training phases with that too.
    """
    wanted = {}
    adamw: tuple[Option, ...] = ("adamw",)
    for spec, options in [(one, options) for one in specs for options in ((), adamw)]:
        if options == adamw and spec.protocol.optimizer != "adamw":
            continue
        measured = MeasureSpec(
            architecture=spec.architecture,
            architecture_revision=spec.architecture_revision,
            architecture_source=spec.architecture_source,
            num_classes=spec.num_classes,
            size=spec.protocol.size or spec.dataset_info.size,
            precision=spec.precision,
            options=options,
            device="cuda" if request.device == "cuda" else "cpu",
            preset=preset,
            threads=request.threads or available_cores(),
        )
        keys = measurement_keys(measured, step_batch=spec.protocol.batch_size)
        wanted[spec.architecture, options] = Request(spec=measured, keys=keys)
    return list(wanted.values())


class _BudgetUsedUp(Exception):
    """While waiting for the machine."""


def measure_all(
    requests: Sequence[Request],
    results: Path,
    console: Console,
    *,
    force: bool = False,
    wait: bool = False,
    deadline_s: float | None = None,
) -> PlanResult:
    """Measure what is not finished yet, and show how far it is.

    Args:
        force: measure even what was measured before.
        wait: until other processes of the harness have ended; else that these train or measure is a UserError.
        deadline_s: end of the budget by time.monotonic; none without one.
    """
    result = PlanResult()

    def on_wait() -> None:
        say(console, "waiting until other processes of the harness have ended: times need the machine alone")

    def on_look() -> None:
        if deadline_s is not None and time.monotonic() >= deadline_s:
            raise _BudgetUsedUp

    columns = (text_column("measuring"), BarColumn(), MofNCompleteColumn(), text_column("{task.description}"))
    try:
        with (
            measuring_on_this_machine(on_wait if wait else None, on_look),
            progress(console, *columns) as bars,
        ):
            task = bars.add_task("", total=None)

            def show(what: str) -> None:
                bars.update(task, description=what, advance=1)
                if not console.is_terminal:
                    say(console, what)

            totals = run_measurements(
                requests,
                results,
                force=force,
                deadline_s=deadline_s,
                on_plan=lambda count: bars.update(task, total=count),
                on_step=show,
            )
    except KeyboardInterrupt:
        result.stopped = True
        return result
    except _BudgetUsedUp:
        say(console, "the budget is used up: nothing is measured; the same command goes on with it")
        result.time_limit_reached = True
        return result
    result.done, result.skipped, result.failed = totals.done, totals.before, len(totals.failed)
    for line in totals.failed:
        say(console, f"FAILED: {line}")
    say(console, f"{totals.done} measurements taken; {totals.before} were measured before, {len(totals.failed)} failed")
    if totals.not_begun:
        say(console, f"the budget is used up: {totals.not_begun} not begun; the same command goes on with them")
        result.time_limit_reached = True
    return result


def pick_device(wanted: str) -> Device:
    """`auto` takes a CUDA device if torch can use one.

    Raises:
        UserError: cuda was asked for and is not there, or another word than auto, cpu and cuda.
    """
    one_of(wanted, ("auto", "cpu", "cuda"), "device")
    # torch takes seconds to import, and is asked only where the driver of some GPU has left its mark
    if wanted == "cpu" or (wanted == "auto" and not may_have_gpu()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise UserError("device cuda: torch finds no usable CUDA device here; use --device cpu")
    return "cpu"
