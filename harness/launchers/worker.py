"""The process that carries out one run: `python -m harness.launchers.worker JOB.json`.

Beside the job it leaves how it ended (`Ending`): an exit code alone says nothing, since the code of a network
may end the process with any. Where several processes carry out a run together (`harness.launchers.torchrun`),
each is such a process; rank 0 alone holds the run's lock, prints, and leaves the record and the ending.
"""

import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.config.worker_job import WorkerJob
from harness.config.world import WorldInfo
from harness.records.run import Failure, RunRecord, finished, runs_folder, save_run
from harness.records.weights_files import clear_finished
from harness.system.console import say, terminal
from harness.system.errors import UserError, message_of, printable, storage_error
from harness.system.files import remove_leftovers, write_atomically
from harness.system.locks import run_lock, training_on_this_machine
from harness.system.quantities import Frozen
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED, Interrupted, StopRequest, heartbeat
from harness.system.surroundings import leave, settle_output

if TYPE_CHECKING:
    from harness.postprocess.crf.runner import CrfRun
    from harness.training.progress import RunProgress
    from harness.training.trainer import Trainer

RecordOf = Callable[[dict[str, Any]], tuple[RunRecord, dict[str, bytes]]]

# How a run may end, besides STOPPED and TIME_LIMIT_REACHED, after which it can go on.
FINISHED, FAILED, BAD_INPUT, ELSEWHERE = 0, 1, 2, 3
ENDING = "ending.json"  # beside the job
PEER_S = 10.0  # for torch's launcher to end this process, once it has lost touch with another


class Ending(Frozen):
    """How a run ended.

    code: FINISHED, FAILED (the record says why), BAD_INPUT, ELSEWHERE (another process works on it), STOPPED or
    TIME_LIMIT_REACHED. line: what there is to say. failure: of a run that failed. lost: its machine went away.
    """

    code: int
    line: str = ""
    failure: Failure | None = None
    lost: bool = False


def bad_input(error: object) -> Ending:
    """The ending of a run that can't be carried out as it was asked for."""
    return Ending(code=BAD_INPUT, line=f"error: {printable(error)}")


class RankFailed(Exception):
    """One of several processes can't go on: its ending as JSON, for torch's launcher to report."""


def main(job_file: str) -> int:
    """Carry out the job in that file, and leave its ending beside it."""
    settle_output()
    path = Path(job_file)
    job = WorkerJob.model_validate_json(path.read_text("utf-8"))
    world = WorldInfo.here(job.world_size)
    if world.world_size == 1:
        ending = carry_out(job, world)
    else:
        from torch.distributed.elastic.multiprocessing.errors import record

        try:
            together = record(_carry_out_together)(job, world)
        except RankFailed:
            return FAILED  # torch's launcher has it in writing
        assert together is not None, "it calls no sys.exit"
        ending = together
    if world.is_main_process:
        write_atomically(path.with_name(ENDING), ending.model_dump_json().encode())
    return ending.code if world.world_size == 1 else FINISHED


def _carry_out_together(job: WorkerJob, world: WorldInfo) -> Ending:
    ending = carry_out(job, world)
    if ending.code in (FAILED, BAD_INPUT):
        raise RankFailed(ending.model_dump_json())
    return ending


def carry_out(job: WorkerJob, world: WorldInfo) -> Ending:
    """Carry out the run, unless another process is at it."""
    console = terminal(quiet=not world.is_main_process)
    try:
        if not world.is_main_process:
            return execute(job, console, world)
        # by this process, not by its parent: killed alone, that one would leave the run to two; checkpoints
        # are of the work folder, which may serve several results folders
        run_id = job.spec.run_id
        with run_lock(job.results, run_id) as own, run_lock(job.folder.parent, run_id) as alone:
            if not (own and alone):
                say(console, f"{run_id}: left to another process that works on it")
                return _leave_it(job, world, ELSEWHERE)
            if finished(job.results, job.spec) is not None:
                return _leave_it(job, world, FINISHED)
            if job.spec.postprocess and _base_goes_on_elsewhere(job):
                say(console, f"{run_id}: left to another process, which trains the run that it refines")
                return _leave_it(job, world, ELSEWHERE)
            remove_leftovers(job.folder)
            remove_leftovers(runs_folder(job.results), run_id)
            job.folder.mkdir(parents=True, exist_ok=True)
            stop = StopRequest(job.request.deadline_s, heartbeat(job.folder)) if world.world_size == 1 else None
            with training_on_this_machine(
                lambda: say(console, f"{run_id}: waiting until a measurement on this machine has ended"),
                stop.raise_if_asked if stop else lambda: None,
            ):
                if stop:
                    stop.raise_if_asked()  # the first heartbeat, before torch and the data take their seconds
                return execute(job, console, world, stop)
    except UserError as error:
        return bad_input(error)
    except OSError as error:
        line = storage_error(error)
        if line is None:
            raise
        return bad_input(line)
    except (KeyboardInterrupt, Interrupted):  # before the run began, or a second signal
        return Ending(code=STOPPED)


def _base_goes_on_elsewhere(job: WorkerJob) -> bool:
    """Whether the run that this one refines is another process's, which refines it then too."""
    from harness.postprocess.crf.base_run import base_spec

    base = base_spec(job.spec)
    if finished(job.results, base) is not None:
        return False
    with run_lock(job.results, base.run_id) as free:
        return not free


def _leave_it(job: WorkerJob, world: WorldInfo, code: int) -> Ending:
    """Nothing to do, which the other processes of the run are told."""
    if world.world_size > 1:
        from harness.training.distributed import join

        group = join(job, world)
        group.gather_objects(code)
        group.leave()
    return Ending(code=code)


def execute(
    job: WorkerJob, console: Console, world: WorldInfo | None = None, stop: StopRequest | None = None
) -> Ending:
    """Train and evaluate, and leave the record.

    Args:
        job: what to run.
        console: where to show how far it is.
        world: which of the run's processes this is; none: the only one.
        stop: none: from the moment on when all processes have met.
    """
    from architectures.architecture_info import WeightsError
    from datasets import DatasetError
    from harness.training.distributed import SINGLE_PROCESS, join

    world, group, run = world or WorldInfo(), SINGLE_PROCESS, None
    progress = _progress(job, console, world)
    try:
        group = join(job, world)
        code, *_ = group.gather_objects(None)  # rank 0 may find that there is nothing to do
        if code is not None:
            group.leave()
            return Ending(code=code)
        stop = stop or StopRequest(job.request.deadline_s, heartbeat(job.folder) if world.is_main_process else None)
        run, record_of = _run(job, progress, stop)
        with progress.shown():
            run.prepare(group)
            run.train()
            run.finish()
    except Interrupted:
        assert stop is not None and run is not None, "it is asked by the run alone"
        time_limit_reached, *_ = group.any_rank(stop.time_limit_reached)
        group.leave()
        why = "the budget is used up" if time_limit_reached else "stopped"
        progress.say(f"{why} at iteration {run.state.iteration:,}; the same command goes on from there")
        return Ending(code=TIME_LIMIT_REACHED if time_limit_reached else STOPPED)
    except (UserError, DatasetError, WeightsError) as error:
        return bad_input(error)
    except BaseException as error:  # the process ends here: whatever it was becomes the record's reason
        if isinstance(error, KeyboardInterrupt) and (stop is None or stop.asked):
            raise
        if isinstance(error, OSError) and (line := storage_error(error)):
            return bad_input(line)
        return _failed(job, world, error, stop, progress)
    group.leave()
    if world.is_main_process:
        from harness.system.environment import environment

        record, files = record_of(environment())
        save_run(job.results, record, files)
        clear_finished(job.folder, record)
    return Ending(code=FINISHED)


def _progress(job: WorkerJob, console: Console, world: WorldInfo) -> "RunProgress":
    from harness.postprocess.crf.search import TRIALS
    from harness.training.progress import RunProgress, position_file

    protocol = job.spec.protocol
    steps = TRIALS if job.spec.postprocess else protocol.iterations
    position = position_file(job.folder) if world.is_main_process else None
    return RunProgress(console, job.spec.network, steps, protocol.batch_size, position)


def _run(job: WorkerJob, progress: "RunProgress", stop: StopRequest) -> tuple["Trainer | CrfRun", RecordOf]:
    """What carries out the run, and what makes its record and the files beside it."""
    from harness.postprocess.crf.record import crf_record
    from harness.postprocess.crf.runner import CrfRun
    from harness.training.run_record import run_record
    from harness.training.trainer import Trainer

    if job.spec.postprocess:
        refining = CrfRun(job, progress, stop)
        return refining, partial(crf_record, refining)
    training = Trainer(job, progress, stop)
    return training, partial(run_record, training)


def _failed(
    job: WorkerJob, world: WorldInfo, error: BaseException, stop: StopRequest | None, progress: "RunProgress"
) -> Ending:
    """Leave the record of a run that failed; called where the error is handled.

    Of several processes one knows why, and the others only lose touch with it: torch's launcher then ends them,
    and leaves the record.
    """
    failure = explain(error, job.spec.protocol.batch_size)
    log = job.folder / (f"error-{world.rank}.log" if world.rank else "error.log")
    write_atomically(log, traceback.format_exc().encode(errors="backslashreplace"))
    if world.world_size == 1:
        save_run(job.results, failed_record(job, failure), {})
        progress.say(f"FAILED: {failure.message} (details: {log})")
    elif failure.kind == "error":
        until_s = time.monotonic() + PEER_S
        while time.monotonic() < until_s and not (stop is not None and stop.asked):
            time.sleep(0.1)
    return Ending(code=FAILED, failure=failure)


def failed_record(job: WorkerJob, failure: Failure) -> RunRecord:
    """The record of a run that ended without a result."""
    from harness.system.environment import environment

    full = job.spec.dataset_info.size
    return RunRecord(
        run_id=job.spec.run_id,
        spec=job.spec,
        status="failed",
        failure=failure,
        reduced=tuple(job.spec.protocol.reductions(full)),
        device=job.device_title,
        environment=environment(),
    )


def leave_failed_record(job: WorkerJob, failure: Failure) -> str:
    """Leave a record for a process that could not, unless another has taken the run up meanwhile; the line to say."""
    with run_lock(job.results, job.spec.run_id) as own:
        if own and finished(job.results, job.spec) is None:
            save_run(job.results, failed_record(job, failure), {})
    return f"{job.spec.network}: FAILED: {failure.message}"


def explain(error: BaseException, batch: int) -> Failure:
    """Sort an error into the kinds a record knows."""
    from harness.postprocess.crf.base_run import BaseRunMissing
    from harness.system.corruption import is_out_of_memory
    from harness.training.checkpoint import DamagedWeights
    from harness.training.train_state import Diverged

    if isinstance(error, SystemExit):
        code = repr(error.code) if isinstance(error.code, int | None) else message_of(error)
        return Failure(kind="error", message=f"SystemExit: the code of the network called sys.exit({code})")
    text = message_of(error)
    if isinstance(error, Diverged):
        return Failure(kind="diverged", message=text, iteration=error.iteration)
    if is_out_of_memory(error):
        return Failure(kind="oom", message=f"OOM at batch {batch}")
    if isinstance(error, DamagedWeights | BaseRunMissing):
        return Failure(kind="data", message=text)
    return Failure(kind="error", message=f"{type(error).__name__}: {text[:300]}")


if __name__ == "__main__":
    leave(main(sys.argv[1]))
