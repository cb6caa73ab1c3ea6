"""`logits` and `crf`: the dense CRF, for runs that are finished."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options as cli
from harness.config.request import RunRequest
from harness.config.run_spec import refined
from harness.config.worker_job import WorkerJob
from harness.launchers.local import LocalLauncher
from harness.launchers.steps import pick_device
from harness.records.run import StoredRun, load_run, runs_folder
from harness.system.console import progress, say, terminal
from harness.system.environment import available_cores
from harness.system.errors import UserError, one_of
from harness.system.signals import parse_time


def logits(
    run: Annotated[str, typer.Argument(help="Id of a finished run, the name of its record's folder.")],
    split: Annotated[
        list[str] | None, typer.Option(help="train, val or test; several may be given; default: val, test.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Of the last iteration, not of the one that val chose.")] = False,
    data_root: cli.DataRoot = None,
    device: cli.DeviceOption = "auto",
    threads: cli.Threads = 0,
    plugin: cli.Plugins = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
    work: cli.Work = cli.DEFAULT_WORK,
) -> None:
    """Write them; UserError for no such run or split, other data, or weights that are gone."""
    stored = _stored(results, run)
    spec = stored.record.spec
    known = tuple(spec.dataset_info.splits)
    chosen = tuple(dict.fromkeys(one_of(name, known, "split") for name in split or ("val", "test")))
    request = _request(data_root, device, threads, results, work)
    import torch

    from harness.data.split import DeviceDataset, open_trained
    from harness.postprocess.crf.base_run import BaseRun, BaseRunMissing
    from harness.postprocess.crf.logits import write_logits
    from harness.training.amp import apply_precision
    from harness.training.train_state import Diverged

    job = WorkerJob(spec=spec, request=request)
    base = BaseRun(record=stored.record, folder=job.folder)
    checkpoint = base.checkpoint(base.last_iteration) if last else base.chosen
    console = terminal()
    torch.set_num_threads(job.threads)
    apply_precision(spec.precision)
    for name in chosen:
        dataset = open_trained(spec.dataset, name, data_root, spec.dataset_hash, "the run")
        data = DeviceDataset(dataset, spec.protocol, job.cache, torch.device(job.device))
        with progress(console) as bars:
            advance = partial(bars.advance, bars.add_task(f"logits of {name}", total=len(data)))
            try:
                path = write_logits(job, checkpoint, name, data, advance)
            except (BaseRunMissing, Diverged) as error:
                raise UserError(str(error)) from None
        say(console, f"{path}: iteration {checkpoint.iteration:,}, {len(data)} images")


def crf(
    runs: Annotated[list[str], typer.Argument(help="Ids of finished runs, their folders' names.")],
    data_root: cli.DataRoot = None,
    device: cli.DeviceOption = "auto",
    threads: cli.Threads = 0,
    budget: cli.Budget = None,
    heartbeat_timeout: cli.HeartbeatTimeout = "30m",
    plugin: cli.Plugins = None,
    results: cli.Results = cli.DEFAULT_RESULTS,
    work: cli.Work = cli.DEFAULT_WORK,
) -> None:
    """Carry out the runs that refine these; UserError for no such run, or one that trained no network."""
    limits = {
        "deadline_s": cli.deadline(budget),
        "heartbeat_timeout_s": parse_time(heartbeat_timeout, "heartbeat-timeout"),
    }
    specs = [refined(_stored(results, run_id).record.spec) for run_id in runs]
    request = _request(data_root, device, threads, cli.writable(results, "--results"), work).model_copy(update=limits)
    with LocalLauncher(request) as launcher:
        raise typer.Exit(launcher.execute(specs, request, terminal()).exit_code)


def _request(data_root: str | None, device: str, threads: int, results: Path, work: Path) -> RunRequest:
    return RunRequest(
        data_root=data_root,
        device=pick_device(device),
        threads=threads or available_cores(),
        results=results.resolve(),
        work=cli.writable(work, "--work").resolve(),
    )


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
