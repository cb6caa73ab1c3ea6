"""Watching over the process that carries out a run: its signals, its signs of life, its end."""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from harness.config.worker_job import WorkerJob
from harness.launchers import worker
from harness.profiling.process import oom_kills
from harness.records.run import Failure, finished, save_run
from harness.system.errors import UserError
from harness.system.files import replacing
from harness.system.locks import run_lock
from harness.system.signals import STOPPED, heartbeat
from harness.system.subprocesses import child_environment

# glibc otherwise hands large blocks back to the system when freed, and the next step's page faults cost a
# third of FCN-8s's time, whose gradients are 540 MB; huge pages save SegNet's step another 2 %. A variable
# that the user has set stays as it is. Measurements run without all of this, as users do.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

LOOK_S = 5.0  # between looks at a worker's signs of life
ASK_S = 1.0  # between looks at whether to stop one that runs apart
LEAVE_S = 60.0  # at most, for a worker that shows none to write a checkpoint before it is killed
_ROOM = "free space there, or name another folder with the variable TMPDIR"


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How a worker runs that has no terminal of its own: in a session of its own, and stopped by asking.

    log: gets at its end all that is printed.
    asks: how often it was asked to stop so far; each is passed on to it.
    variables: of its environment, beside this process's.
    """

    log: Path
    asks: Callable[[], int]
    variables: Mapping[str, str] = field(default_factory=dict)


def run_worker(job: WorkerJob, apart: Apart | None = None) -> int:
    """Start a run's process and wait for it; its exit code, or FAILED with a record where it was killed.

    A process that shows no sign of life for the job's patience is ended, and its record says so; what it had
    saved stays, and the same command goes on from there.

    Args:
        job: what to run.
        apart: how, where others share the terminal or there is none.

    Raises:
        UserError: the folder of temporary files or of the results, or the log, can't be written.
    """
    kills = oom_kills()
    with _handed_over(job) as path:
        command = [sys.executable, "-m", "harness.launchers.worker", str(path)]
        code = call(command, heartbeat(job.folder, job.rank), job.heartbeat_timeout_s, apart)
    if code is None:
        message = f"no sign of life for {job.heartbeat_timeout_s / 60:.3g} minutes: the process was ended"
        return _failed(job, Failure(kind="killed", message=message), apart)
    if code == -signal.SIGTERM and apart is not None and apart.asks():
        return STOPPED  # asked before it could heed it: nothing was begun
    if code == -signal.SIGKILL and oom_kills() > kills:
        batch = job.spec.protocol.batch_size
        message = f"OOM at batch {batch}: the process was killed by the kernel's OOM killer"
        return _failed(job, Failure(kind="oom", message=message), apart)
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if -code == signal.SIGKILL else ""
        return _failed(job, Failure(kind="killed", message=f"the process was ended by {name}{hint}"), apart)
    return code


@contextmanager
def _handed_over(job: WorkerJob) -> Iterator[Path]:
    """The job in a file, as long as the block runs.

    Raises:
        UserError: the folder of temporary files can't be written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="segnet-harness-"))
    except OSError as error:
        raise UserError(f"can't write temporary files: {error.strerror}; {_ROOM}") from error
    try:
        path = folder / "job.json"
        with replacing(path, _ROOM) as temporary:
            temporary.write_text(job.model_dump_json(), "utf-8")
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _failed(job: WorkerJob, failure: Failure, apart: Apart | None) -> int:
    """Leave a record of the failure, unless another process has taken the run up meanwhile."""
    if job.member is not None and not job.is_main_process:
        from harness.training.rendezvous import tell

        tell(job.member, failure)
        return worker.FAILED
    with run_lock(job.results, job.spec.run_id) as own:
        if own and finished(job.results, job.spec) is None:
            save_run(job.results, worker.failed_record(job, failure), {})
    with _output(apart) as log:
        line = f"{job.spec.architecture}: FAILED: {failure.message}"
        print(line, file=sys.stderr) if log is None else log.write(f"{line}\n".encode())
    return worker.FAILED


def call(command: Sequence[str], beat: Path, heartbeat_timeout_s: float, apart: Apart | None = None) -> int | None:
    """Run a child in this terminal's process group; on Ctrl-C or SIGTERM wait for it to end in its own way.

    Args:
        command: what to run.
        beat: the file that it touches as long as it goes on.
        heartbeat_timeout_s: after so long without a touch it is ended.
        apart: it runs in a session of its own, and is asked to stop by SIGTERM.

    Returns:
        Its exit code, or minus the signal that ended it; STOPPED where a stop was asked for, which it could
        not heed as long as it started; none if it had to be ended.

    Raises:
        UserError: the log can't be written.
    """
    environment = {**KEEP_MEMORY, **child_environment(), **(apart.variables if apart else {})}
    look_s, passed_on, own = min(ASK_S if apart else LOOK_S, heartbeat_timeout_s), 0, apart is not None
    with (
        _output(apart) as log,
        _stops() as asked,  # before the child starts: a stop between the two would leave it to itself
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=own) as child,
    ):
        asked.pass_on_to(child)
        touched, since_s = _touched(beat), time.monotonic()
        while True:
            while apart is not None and passed_on < apart.asks():
                child.terminate()
                passed_on += 1
            try:
                code = child.wait(look_s)
                return STOPPED if asked.came and code != worker.BAD_INPUT else code
            except KeyboardInterrupt:
                asked.came = True  # the terminal sent it to the child too, which saves and ends
            except subprocess.TimeoutExpired:
                # moments of the file are compared with each other alone: clocks may be set back
                now, last = _touched(beat), touched
                if now != last:
                    touched, since_s = now, time.monotonic()
                elif time.monotonic() - since_s > heartbeat_timeout_s:
                    _end(child, min(LEAVE_S, heartbeat_timeout_s))
                    return None


class _Stops:
    """Whether a stop was asked for, and the child that SIGTERM is passed on to, once there is one."""

    def __init__(self) -> None:
        self.came = False
        self._child: subprocess.Popen[bytes] | None = None

    def pass_on_to(self, child: "subprocess.Popen[bytes]") -> None:
        """From now on; one that came before is passed on at once."""
        self._child = child
        if self.came:
            child.terminate()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Heed SIGTERM, which comes to this process alone."""
        self.came = True
        if self._child is not None:
            self._child.terminate()


@contextmanager
def _stops() -> Iterator[_Stops]:
    """Heed SIGTERM as long as the block runs, where this thread may."""
    stops = _Stops()
    if threading.current_thread() is not threading.main_thread():  # no other may handle signals
        yield stops
        return
    before = signal.signal(signal.SIGTERM, stops.handle)
    try:
        yield stops
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _output(apart: Apart | None) -> Iterator[IO[bytes] | None]:
    """The log to write to; none: this process's own output.

    Raises:
        UserError: it can't be written.
    """
    if apart is None:
        yield None
        return
    try:
        apart.log.parent.mkdir(parents=True, exist_ok=True)
        log = apart.log.open("ab")
    except OSError as error:
        raise UserError(f"can't write {apart.log}: {error.strerror}; choose another --work") from error
    with log:
        yield log


def _touched(beat: Path) -> int | None:
    try:
        return beat.stat().st_mtime_ns
    except OSError:
        return None


def _end(child: "subprocess.Popen[bytes]", leave_s: float) -> None:
    child.terminate()
    try:
        child.wait(leave_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
