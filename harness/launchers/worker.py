"""The process that carries out one run: `python -m harness.launchers.worker JOB.json`.

Exit codes: 0 finished, 1 failed (the record says why), 2 bad input, 3 another process works on the run, 130
stopped on request, 75 the budget is used up (both resumable).

Where several processes carry out a run together, each is such a process; rank 0 alone holds the run's lock,
prints and writes.
"""

import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from harness.config.worker_job import WorkerJob
from harness.records.cleanup import clear_finished
from harness.records.run import Failure, RunRecord, finished, runs_folder, save_run
from harness.system.errors import UserError, printable, storage_error
from harness.system.files import remove_leftovers, write_atomically
from harness.system.locks import run_lock, training_on_this_machine
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED, Interrupted, StopRequest, heartbeat

if TYPE_CHECKING:
    from harness.training.distributed import Group

FINISHED, FAILED, BAD_INPUT, ELSEWHERE = 0, 1, 2, 3


def failed_record(job: WorkerJob, failure: Failure) -> RunRecord:
    """The record of a run that ended without a result."""
    import datasets
    from harness.system.environment import environment

    full = datasets.info(job.spec.dataset).size
    return RunRecord(
        run_id=job.spec.run_id,
        spec=job.spec,
        status="failed",
        failure=failure,
        reduced=tuple(job.spec.protocol.reductions(full)),
        device=job.device_title,
        environment=environment(),
    )


def main(job_file: str) -> int:
    """Carry out the job in that file, unless another process is at it; see the module's exit codes."""
    job = WorkerJob.model_validate_json(Path(job_file).read_text("utf-8"))
    console = Console(stderr=False, quiet=not job.is_main_process)

    def on_wait() -> None:
        console.print(f"{job.spec.run_id}: waiting until a measurement on this machine has ended")

    try:
        if not job.is_main_process:  # the run is rank 0's already
            beat = _begun(job)
            with training_on_this_machine(on_wait, beat.touch):
                return execute(job, console)
        # by this process, not by its parent: killed alone, that one would leave the run to two; checkpoints
        # are of the work folder, which may serve several results folders
        run_id = job.spec.run_id
        with run_lock(job.results, run_id) as own, run_lock(job.folder.parent, run_id) as alone:
            if not (own and alone):
                console.print(f"{job.spec.run_id}: left to another process that works on it", highlight=False)
                return ELSEWHERE
            if finished(job.results, job.spec) is not None:
                return FINISHED
            remove_leftovers(job.folder)
            remove_leftovers(runs_folder(job.results), run_id)
            beat = _begun(job)
            with training_on_this_machine(on_wait, beat.touch):
                return execute(job, console)
    except UserError as error:
        return _bad_input(job, error)
    except OSError as error:
        line = storage_error(error)
        if line is None:
            raise
        return _bad_input(job, line)
    except KeyboardInterrupt:  # before the run began
        return STOPPED


def execute(job: WorkerJob, console: Console) -> int:
    """Train and evaluate, and leave the record; see the module's exit codes."""
    stop = StopRequest(job.deadline_s, heartbeat(job.folder, job.rank), job.parent_pid)

    from architectures import ArchitectureError
    from datasets import DatasetError
    from harness.postprocess.crf.record import crf_record
    from harness.postprocess.crf.runner import CrfRun
    from harness.postprocess.crf.search import TRIALS
    from harness.training.distributed import SINGLE_PROCESS, join
    from harness.training.progress import RunProgress, position_file
    from harness.training.run_record import run_record
    from harness.training.trainer import Run

    protocol = job.spec.protocol
    steps = TRIALS if job.spec.postprocess else protocol.iterations
    position = position_file(job.folder) if job.is_main_process else None
    progress = RunProgress(console, job.spec.network, steps, protocol.batch_size, position)
    run: Run | CrfRun
    if job.spec.postprocess:
        run = refining = CrfRun(job, progress, stop)
        record_of = partial(crf_record, refining)
    else:
        run = training = Run(job, progress, stop)
        record_of = partial(run_record, training)
    group = SINGLE_PROCESS
    try:
        group = join(job, stop)
        with progress.shown():
            run.prepare(group)
            run.train()
            run.finish()
    except Interrupted:
        time_limit_reached, *_ = group.any_rank(stop.time_limit_reached)
        group.leave()
        why = "the budget is used up" if time_limit_reached else "stopped"
        progress.say(f"{why} at iteration {run.state.iteration:,}; the same command goes on from there")
        return TIME_LIMIT_REACHED if time_limit_reached else STOPPED
    except (UserError, DatasetError, ArchitectureError) as error:
        return _bad_input(job, error)
    except Exception as error:  # the process ends here: whatever it was becomes the record's reason
        if isinstance(error, OSError) and (line := storage_error(error)):
            return _bad_input(job, line)
        return _failed(job, _reason(job, error, group), progress.say)
    group.leave()
    if not job.is_main_process:
        return FINISHED
    from harness.system.environment import environment

    record, files = record_of(environment())
    save_run(job.results, record, files)
    clear_finished(job.folder, record)
    return FINISHED


def _begun(job: WorkerJob) -> Path:
    """The run's folder is there, and a first sign of life given; its file."""
    job.folder.mkdir(parents=True, exist_ok=True)
    beat = heartbeat(job.folder, job.rank)
    beat.touch()
    return beat


def _failed(job: WorkerJob, failure: Failure, say: Callable[[str], None]) -> int:
    """Leave the record of a run that failed, or let rank 0 know; called where the error is handled."""
    if job.member is not None and failure.kind == "data":  # bad input of another process
        return _bad_input(job, failure.message)
    log = job.folder / (f"error-{job.rank}.log" if job.rank else "error.log")
    write_atomically(log, traceback.format_exc().encode())
    if job.is_main_process:
        save_run(job.results, failed_record(job, failure), {})
        say(f"FAILED: {failure.message} (details: {log})")
    else:
        _tell(job, failure)
    return FAILED


def _bad_input(job: WorkerJob, line: object) -> int:
    if job.is_main_process:
        print(f"error: {printable(line)}", file=sys.stderr)
    else:
        _tell(job, Failure(kind="data", message=str(printable(line))))
    return BAD_INPUT


def _tell(job: WorkerJob, failure: Failure) -> None:
    from harness.training.rendezvous import tell

    assert job.member is not None
    tell(job.member, failure)


def _reason(job: WorkerJob, error: Exception, group: "Group") -> Failure:
    """Why the run failed; of several processes one knows, and the others only lose touch with it."""
    failure = explain(error, job.spec.protocol.batch_size)
    elsewhere = group.failure_elsewhere() if job.is_main_process and failure.kind == "error" else None
    return elsewhere or failure


def explain(error: Exception, batch: int) -> Failure:
    """Sort an error into the kinds a record knows."""
    from harness.postprocess.crf.base_run import BaseRunMissing
    from harness.system.corruption import is_out_of_memory
    from harness.training.checkpoint import DamagedWeights
    from harness.training.rendezvous import LostProcess
    from harness.training.train_state import Diverged

    if isinstance(error, LostProcess):
        return error.failure
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Diverged):
        return Failure(kind="diverged", message=text, iteration=error.iteration)
    if is_out_of_memory(error):
        return Failure(kind="oom", message=f"OOM at batch {batch}")
    if isinstance(error, DamagedWeights | BaseRunMissing):
        return Failure(kind="data", message=text)
    return Failure(kind="error", message=f"{type(error).__name__}: {text[:300]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
