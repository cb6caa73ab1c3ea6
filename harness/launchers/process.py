"""A run in a process of its own: started, watched by its heartbeat, stopped, its ending judged."""

import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from harness.config.worker_job import WorkerJob
from harness.launchers.worker import ENDING, FAILED, Ending, leave_failed_record
from harness.records.run import Failure
from harness.system.errors import UserError
from harness.system.signals import STOPPED, heartbeat
from harness.system.supervisor import Child, ChildEnding, Heartbeat, child_environment, command

# glibc otherwise hands large blocks back to the system when freed, and the next step's page faults cost a
# third of FCN-8s's time, whose gradients are 540 MB; huge pages save SegNet's step another 2 %. A variable
# that the user has set stays as it is. Measurements run without all of this, as users do.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
LEAVE_S = 60.0  # at most, for a process without a heartbeat to write a checkpoint before it is killed


class RunProcess:
    """The process of a run, or torch's launcher with its processes.

    Args:
        job: what to run.
        log: file that gets all that is printed, at its end; the process then is detached. None: it has this
            process's terminal.
        variables: of its environment, beside this process's.

    Raises:
        UserError: the folder of temporary files, or the log, can't be written.
    """

    def __init__(self, job: WorkerJob, *, log: Path | None = None, variables: Mapping[str, str] | None = None) -> None:
        self._job = job
        self._asked = False
        self._kill_at_s: float | None = None
        self._heartbeat = Heartbeat(heartbeat(job.folder), job.request.heartbeat_timeout_s)
        self.ended = False
        several = job.world_size > 1
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="segnet-harness-")
            handed_over = Path(self._folder.name) / "job.json"
            handed_over.write_text(job.model_dump_json(), "utf-8")
        except OSError as error:
            advice = "free space there, or name another folder with the variable TMPDIR"
            raise UserError(f"can't write temporary files: {error.strerror}; {advice}") from error
        self._log = _opened(log)
        self._child = Child(
            command(f"harness.launchers.{'torchrun' if several else 'worker'}", handed_over),
            environment={**KEEP_MEMORY, **child_environment(), **(variables or {})},
            output=self._log,
            detached=several or log is not None,
        )

    def poll(self) -> Ending | None:
        """How the run ended; none while it goes on. One whose heartbeat has stopped is ended."""
        ending = self._child.ending(0.0)
        if ending is not None:
            self.ended = True
            return self._judged(ending)
        if self._kill_at_s is not None:
            if time.monotonic() > self._kill_at_s:
                self._child.process.kill()
        elif self._heartbeat.has_stopped():
            self._kill_at_s = time.monotonic() + min(LEAVE_S, self._job.request.heartbeat_timeout_s)
            self._child.process.terminate()
        return None

    def stop(self) -> None:
        """Ask it to stop with its checkpoint."""
        self._asked = True
        if not self.ended:
            self._child.process.send_signal(signal.SIGTERM)

    def _judged(self, ended: ChildEnding) -> Ending:
        """What the process left as its ending; one that left none has failed, whatever its exit code."""
        try:
            ending = Ending.model_validate_json((Path(self._folder.name) / ENDING).read_bytes())
        except (OSError, ValueError):
            ending = self._without_ending(ended)
        if ending.code == STOPPED and self._kill_at_s is not None and not self._asked:
            ending = self._without_ending(ended)  # it heeded what was sent for want of a heartbeat
        self._folder.cleanup()
        if ending.line and self._log is None:
            print(ending.line, file=sys.stderr)
        elif ending.line and self._log is not None:
            self._log.write(f"{ending.line}\n".encode(errors="backslashreplace"))
        if self._log is not None:
            self._log.close()
        return ending.model_copy(update={"line": ""})  # said already; who follows the log shows it

    def _without_ending(self, ended: ChildEnding) -> Ending:
        if self._kill_at_s is not None:
            minutes = self._job.request.heartbeat_timeout_s / 60
            failure = Failure(
                kind="killed", message=f"no sign of life for {minutes:.3g} minutes: the process was ended"
            )
        elif self._asked:
            return Ending(code=STOPPED)  # asked before it could heed it: nothing was begun
        else:
            failure = failure_of(ended, self._job.spec.protocol.batch_size)
        return Ending(code=FAILED, line=leave_failed_record(self._job, failure), failure=failure)


def failure_of(ended: ChildEnding, batch: int) -> Failure:
    """Why a process left no ending."""
    if ended.kind == "oom":
        return Failure(kind="oom", message=f"OOM at batch {batch}: {ended}")
    if ended.code == -signal.SIGKILL:
        return Failure(kind="killed", message=f"{ended}; out of memory?")
    return Failure(kind=ended.kind, message=str(ended) if ended.code < 0 else f"{ended} and left no result")


def _opened(log: Path | None) -> IO[bytes] | None:
    if log is None:
        return None
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("ab")
    except OSError as error:
        raise UserError(f"can't write {log}: {error.strerror}; choose another --work") from error
