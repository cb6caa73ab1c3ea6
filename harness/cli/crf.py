"""What `logits` and `crf` do, apart from parsing: each returns the exit code."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

import datasets
from harness.cli.options import writable
from harness.config.run_spec import refined
from harness.config.worker_job import WorkerJob
from harness.launchers import run as running
from harness.launchers.local import in_turn
from harness.records.run import StoredRun, load_run, runs_folder
from harness.system.environment import available_cores
from harness.system.errors import UserError, one_of
from harness.system.signals import parse_time


@dataclass(frozen=True, kw_only=True)
class CrfOptions:
    """The command-line options of `logits` and `crf`, as given."""

    data_root: str | None
    device: str
    threads: int
    results: Path
    work: Path


def logits_command(run_id: str, splits: tuple[str, ...], last: bool, options: CrfOptions) -> int:
    """`logits`.

    Raises:
        UserError: no such run, a split that there is not, other data, or weights that are gone.
    """
    stored = _stored(options.results, run_id)
    spec = stored.record.spec
    known = tuple(datasets.info(spec.dataset).splits)
    chosen = tuple(dict.fromkeys(one_of(split, known, "split") for split in splits or ("val", "test")))
    import torch

    from harness.data.split import DeviceDataset
    from harness.postprocess.crf.base_run import BaseRun, BaseRunMissing
    from harness.postprocess.crf.logits import write_logits
    from harness.postprocess.crf.runner import open_dataset
    from harness.training.amp import apply_precision

    job = _job(stored, options)
    base = BaseRun(record=stored.record, folder=job.folder)
    checkpoint = base.checkpoint(base.last_iteration) if last else base.chosen
    console = Console()
    torch.set_num_threads(job.threads)
    apply_precision(spec.precision)
    for split in chosen:
        dataset = open_dataset(spec, split, options.data_root)
        data = DeviceDataset(dataset, spec.protocol, job.cache, torch.device(job.device))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            advance = partial(progress.advance, progress.add_task(f"logits of {split}", total=len(data)))
            try:
                path = write_logits(job, checkpoint, split, data, advance)
            except BaseRunMissing as error:
                raise UserError(str(error)) from None
        console.print(
            f"{path}: iteration {checkpoint.iteration:,}, {len(data)} images", highlight=False, soft_wrap=True
        )
    return 0


def crf_command(run_ids: tuple[str, ...], budget_s: float | None, heartbeat_timeout: str, options: CrfOptions) -> int:
    """`crf`.

    Raises:
        UserError: no such run, or one that trained no network.
    """
    began_s = time.monotonic()
    specs = []
    for run_id in run_ids:
        specs.append(refined(_stored(options.results, run_id).record.spec))
    context = running.RunContext(
        results=writable(options.results, "--results"),
        reports=Path("reports"),
        work=writable(options.work, "--work"),
        data_root=options.data_root,
        weights={},
        device=running.pick_device(one_of(options.device, ("auto", "cpu", "cuda"), "device")),
        threads=options.threads or available_cores(),
        deadline_s=None if budget_s is None else began_s + budget_s,
        heartbeat_timeout_s=parse_time(heartbeat_timeout, "heartbeat-timeout"),
    )
    return in_turn(specs, context, Console()).exit_code


def _stored(results: Path, run_id: str) -> StoredRun:
    folder = runs_folder(results) / run_id
    try:
        stored = load_run(folder)
    except ValueError as error:
        raise UserError(f"run {run_id!r}: {error}; `python -m harness report` lists the runs") from None
    if stored.record.status != "finished":
        raise UserError(f"run {run_id!r} has failed: it left no weights")
    if stored.record.spec.postprocess:
        raise UserError(f"run {run_id!r} refined another one's output; name the one that trained the network")
    return stored


def _job(stored: StoredRun, options: CrfOptions) -> WorkerJob:
    return WorkerJob(
        spec=stored.record.spec,
        device=running.pick_device(one_of(options.device, ("auto", "cpu", "cuda"), "device")),
        threads=options.threads or available_cores(),
        results=options.results.resolve(),
        work=writable(options.work, "--work").resolve(),
        data_root=options.data_root,
        weights=None,
    )
