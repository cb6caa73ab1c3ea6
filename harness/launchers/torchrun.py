"""One run in several processes of this machine: `python -m harness.launchers.torchrun JOB.json`.

Starts torch's own launcher, which starts the workers, lets them find each other, and reports whose failure was
the first. This process then leaves the run's ending, and its record where a worker failed.
"""

import logging
import os
import signal
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from harness.config.worker_job import WorkerJob
from harness.launchers.process import failure_of
from harness.launchers.worker import ENDING, FAILED, Ending, RankFailed, leave_failed_record
from harness.records.run import Failure
from harness.system.console import say, terminal
from harness.system.files import write_atomically
from harness.system.locks import training_on_this_machine
from harness.system.signals import STOP_SIGNALS, SUPERVISOR, heartbeat
from harness.system.supervisor import ChildEnding, command, oom_kills
from harness.system.surroundings import settle_output

LOOK_S = 1.0  # between looks at whether the command still lives


def main(job_file: str) -> None:
    """Carry out the job in that file by several workers."""
    settle_output()
    logging.disable(logging.ERROR)  # the run's record says what failed
    path = Path(job_file)
    job = WorkerJob.model_validate_json(path.read_text("utf-8"))
    supervisor = os.environ.get(SUPERVISOR, str(os.getppid()))
    threading.Thread(target=_end_with_the_command, args=(supervisor,), daemon=True).start()
    os.environ[SUPERVISOR] = str(os.getpid())  # of the workers
    console, beat = terminal(), heartbeat(job.folder)
    job.folder.mkdir(parents=True, exist_ok=True)
    kills = oom_kills()
    with training_on_this_machine(
        lambda: say(console, f"{job.spec.run_id}: waiting until a measurement on this machine has ended"), beat.touch
    ):
        try:
            _launch(job, path)
        except ChildFailedError as error:
            ending = _ending_of(job, *error.get_first_failure(), oom_kills() > kills)
            write_atomically(path.with_name(ENDING), ending.model_dump_json().encode())
        except SignalException:
            return  # rank 0 has left how the run ended


def _launch(job: WorkerJob, path: Path) -> None:
    names = (signal.Signals(number).name for number in STOP_SIGNALS if number in set(signal.Signals))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=job.world_size,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        signals_to_handle=",".join(names),
    )
    python, *arguments = command("harness.launchers.worker", path)
    elastic_launch(config, python)(*arguments)


def _ending_of(job: WorkerJob, rank: int, found: ProcessFailure, oom_killed: bool) -> Ending:
    """What the first process that failed said, or how it was ended."""
    said = found.message.get("message", "") if isinstance(found.message, dict) else ""
    with suppress(ValueError):
        ending = Ending.model_validate_json(said.removeprefix(f"{RankFailed.__name__}: "))
        failure = ending.failure
        if failure is None:
            return ending
        return _failed(job, failure, rank)
    if said:
        return _failed(job, Failure(kind="error", message=" ".join(said.split())[:300]), rank)
    ended = ChildEnding(code=found.exitcode, oom_killed=oom_killed)
    return _failed(job, failure_of(ended, job.spec.protocol.batch_size), rank)


def _failed(job: WorkerJob, failure: Failure, rank: int) -> Ending:
    if rank:
        failure = failure.model_copy(update={"message": f"{failure.message} (rank {rank})"})
    return Ending(code=FAILED, line=leave_failed_record(job, failure), failure=failure)


def _end_with_the_command(supervisor: str) -> None:
    """Stop the run, as SIGTERM does, when the command that wants it has died."""
    while supervisor == str(os.getppid()):
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1])
