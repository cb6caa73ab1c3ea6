"""The process that carries out one run: `python -m harness.worker JOB.json`.

Exit codes: 0 finished, 1 failed (the record says why), 2 bad input, 3 another process works on the run, 130
stopped on request, 75 the budget is used up (both resumable).
"""

import sys
import traceback
from pathlib import Path

from rich.console import Console

from harness.atomic import remove_leftovers, write_atomically
from harness.errors import UserError, printable, storage_error
from harness.job import Job
from harness.leftovers import clear_finished
from harness.locks import run_lock, training_on_this_machine
from harness.records import Failure, RunRecord, finished, runs_folder, save_run
from harness.stopping import OVERDRAWN, STOPPED, StopRequest, heartbeat

FINISHED, FAILED, BAD_INPUT, ELSEWHERE = 0, 1, 2, 3


def failed_record(job: Job, failure: Failure) -> RunRecord:
    """The record of a run that ended without a result."""
    import datasets
    from harness.machine import device_name, environment

    full = datasets.info(job.spec.dataset).size
    return RunRecord(
        run_id=job.spec.run_id,
        spec=job.spec,
        status="failed",
        failure=failure,
        reduced=tuple(job.spec.protocol.reductions(full)),
        device=device_name(job.device),
        environment=environment(),
    )


def main(job_file: str) -> int:
    """Carry out the job in that file, unless another process is at it; see the module's exit codes."""
    console = Console(stderr=False)
    job = Job.model_validate_json(Path(job_file).read_text("utf-8"))

    def on_wait() -> None:
        console.print(f"{job.spec.run_id}: waiting until a measurement on this machine has ended")

    try:
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
            job.folder.mkdir(parents=True, exist_ok=True)
            beat = heartbeat(job.folder)
            beat.touch()
            with training_on_this_machine(on_wait, beat.touch):
                return carry_out(job, console)
    except UserError as error:
        return _bad_input(error)
    except OSError as error:
        line = storage_error(error)
        if line is None:
            raise
        return _bad_input(line)
    except KeyboardInterrupt:  # before the run began
        return STOPPED


def carry_out(job: Job, console: Console) -> int:
    """Train and evaluate, and leave the record; see the module's exit codes."""
    stop = StopRequest(job.deadline_s, heartbeat(job.folder))

    from architectures import ArchitectureError
    from datasets import DatasetError
    from harness.crf.run import CrfRun
    from harness.crf.search import TRIALS
    from harness.progress import RunProgress
    from harness.train import Interrupted, Run

    protocol = job.spec.protocol
    refines = bool(job.spec.postprocess)
    steps = TRIALS if refines else protocol.iterations
    progress = RunProgress(console, job.spec.network, steps, protocol.batch)
    run: Run | CrfRun = CrfRun(job, progress, stop) if refines else Run(job, progress, stop)
    try:
        with progress.shown():
            run.prepare()
            run.train()
            run.finish()
    except Interrupted:
        why = "the budget is used up" if stop.overdrawn else "stopped"
        progress.say(f"{why} at iteration {run.state.iteration:,}; the same command goes on from there")
        return OVERDRAWN if stop.overdrawn else STOPPED
    except (UserError, DatasetError, ArchitectureError) as error:
        return _bad_input(error)
    except Exception as error:  # the process ends here: whatever it was becomes the record's reason
        if isinstance(error, OSError) and (line := storage_error(error)):
            return _bad_input(line)
        failure = explain(error, protocol.batch)
        log = job.folder / "error.log"
        write_atomically(log, traceback.format_exc().encode())
        save_run(job.results, failed_record(job, failure), {})
        progress.say(f"FAILED: {failure.message} (details: {log})")
        return FAILED
    from harness.crf.record import crf_record
    from harness.machine import environment
    from harness.run_record import run_record

    made = crf_record(run, environment()) if isinstance(run, CrfRun) else run_record(run, environment())
    record, files = made
    save_run(job.results, record, files)
    clear_finished(job.folder, record)
    if isinstance(run, CrfRun):
        run.clean_up()
    return FINISHED


def _bad_input(line: object) -> int:
    print(f"error: {printable(line)}", file=sys.stderr)
    return BAD_INPUT


def explain(error: Exception, batch: int) -> Failure:
    """Sort an error into the kinds a record knows."""
    from harness.checkpoint import DamagedWeights
    from harness.crf.base_run import BaseRunMissing
    from harness.damage import is_out_of_memory
    from harness.progression import Diverged

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
