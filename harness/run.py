"""Carrying out a plan: one process a run, then the measurements, then the reports."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

import datasets
from datasets.cache import open_split
from harness import worker
from harness.child import child_environment
from harness.errors import UserError
from harness.job import Job
from harness.machine import Device
from harness.measure.record import Effort, MeasureSpec
from harness.measure.schedule import Request, cell_keys, measure_cells
from harness.records import Failure, finished, load_run, runs_folder, save_run
from harness.spec import RunSpec

# glibc otherwise hands large blocks back to the system when freed, and the next step's page faults cost a
# third of FCN-8s's time, whose gradients are 540 MB; huge pages save SegNet's step another 2 %. A variable
# that the user has set stays as it is. Measurements run without all of this, as users do.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things are read and written, and on what is computed."""

    results: Path
    reports: Path
    work: Path
    data_root: str | None
    weights: Path | None
    device: Device
    threads: int
    tensorboard: bool = False


@dataclass(kw_only=True)
class Outcome:
    """What became of a plan."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 1 if anything failed, else 0."""
        return worker.STOPPED if self.stopped else worker.FAILED if self.failed else worker.FINISHED


def status_of(results: Path, spec: RunSpec) -> str:
    """`finished`, `failed before: reason`, or `to do`."""
    if finished(results, spec) is not None:
        return "finished"
    try:
        failure = load_run(runs_folder(results) / spec.run_id).record.failure
    except ValueError:
        return "to do"
    return f"to do (failed before: {failure.message})" if failure else "to do"


def plan_table(specs: Sequence[RunSpec], results: Path) -> Table:
    """The plan as a table for the terminal."""
    table = Table(title=f"{len(specs)} runs", title_justify="left")
    for column in (
        "run",
        "architecture",
        "data",
        "protocol",
        "seed",
        "initial weights",
        "precision",
        "status",
    ):
        table.add_column(column, overflow="fold")
    for spec in specs:
        table.add_row(
            spec.run_id,
            spec.architecture,
            spec.dataset_variant,
            spec.protocol.name,
            str(spec.seed),
            spec.initial_weights.title,
            spec.precision if spec.compiled == "no" else f"{spec.precision}, compiled ({spec.compiled})",
            status_of(results, spec),
        )
    return table


def prepare_data(specs: Sequence[RunSpec], places: Places, console: Console) -> None:
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

                open_split(datasets.load(name, split, places.data_root), size, places.work / "cache", show)
                progress.remove_task(task)


def carry_out(specs: Sequence[RunSpec], places: Places, console: Console) -> Outcome:
    """Carry out the runs that have no finished record, one process each; a failed one does not stop the rest.

    Raises:
        UserError: bad input that a worker found; its own line was printed already.
    """
    outcome = Outcome()
    for spec in specs:
        if finished(places.results, spec) is not None:
            console.print(f"{spec.run_id}: finished before, nothing to do", highlight=False)
            outcome.skipped += 1
            continue
        code = _run_worker(_job(spec, places))
        if code == worker.STOPPED:
            outcome.stopped = True
            return outcome
        if code == worker.BAD_INPUT:
            raise UserError("")
        outcome.done += code == worker.FINISHED
        outcome.failed += code != worker.FINISHED
    return outcome


def _job(spec: RunSpec, places: Places) -> Job:
    return Job(
        spec=spec,
        device=places.device,
        threads=places.threads,
        results=places.results.resolve(),
        work=places.work.resolve(),
        data_root=places.data_root,
        weights=places.weights,
        tensorboard=places.tensorboard,
    )


def _run_worker(job: Job) -> int:
    """Start the worker, wait for it, and write the record of a run whose process was killed."""
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(job.model_dump_json(), "utf-8")
        code = call([sys.executable, "-m", "harness.worker", str(path)])
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if -code == signal.SIGKILL else ""
        failure = Failure(kind="killed", message=f"the process was ended by {name}{hint}")
        save_run(job.results, worker.failed_record(job, failure), {})
        print(f"{job.spec.architecture}: FAILED: {failure.message}", file=sys.stderr)
        return worker.FAILED
    return code


def call(command: Sequence[str]) -> int:
    """Run a child in this terminal's process group; on Ctrl-C wait for it to end in its own way."""
    with subprocess.Popen(command, env={**KEEP_MEMORY, **child_environment()}) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:
                continue  # the terminal sent it to the child too, which saves and ends


def measurement_requests(specs: Sequence[RunSpec], places: Places, effort: Effort) -> list[Request]:
    """What to measure beside these runs: each architecture once, at the size it was trained at."""
    wanted = {}
    for spec in specs:
        size = spec.protocol.size or datasets.info(spec.dataset).size
        measured = MeasureSpec(
            architecture=spec.architecture,
            architecture_revision=spec.architecture_revision,
            num_classes=spec.num_classes,
            size=size,
            precision=spec.precision,
            device=places.device,
            effort=effort,
            threads=places.threads,
        )
        keys = cell_keys(measured, step_batch=spec.protocol.batch)
        wanted[spec.architecture] = Request(spec=measured, keys=keys)
    return list(wanted.values())


def measure_all(requests: Sequence[Request], results: Path, console: Console, again: bool = False) -> Outcome:
    """Measure the cells that are not finished yet, and show how far it is.

    Args:
        requests: what to measure.
        results: the results folder.
        console: where to say what is going on.
        again: measure even what was measured before.
    """
    outcome = Outcome()
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
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
