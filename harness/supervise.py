"""Watching over the process that carries out a run: its signals, its signs of life, its end."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness import worker
from harness.child import child_environment
from harness.job import Job
from harness.records import Failure, save_run
from harness.stopping import heartbeat

# glibc otherwise hands large blocks back to the system when freed, and the next step's page faults cost a
# third of FCN-8s's time, whose gradients are 540 MB; huge pages save SegNet's step another 2 %. A variable
# that the user has set stays as it is. Measurements run without all of this, as users do.
KEEP_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

LOOK_S = 5.0  # between looks at a worker's signs of life
LEAVE_S = 60.0  # for a worker that shows none to write a checkpoint before it is killed


def run_worker(job: Job) -> int:
    """Start a run's process and wait for it; its exit code, or FAILED with a record where it was killed.

    A process that shows no sign of life for the job's patience is ended, and its record says so; what it had
    saved stays, and the same command goes on from there.
    """
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        path = Path(folder) / "job.json"
        path.write_text(job.model_dump_json(), "utf-8")
        command = [sys.executable, "-m", "harness.worker", str(path)]
        code = call(command, heartbeat(job.folder), job.patience_s)
    if code is None:
        message = f"no sign of life for {job.patience_s / 60:.3g} minutes: the process was ended"
        return _failed(job, Failure(kind="killed", message=message))
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; out of memory?" if -code == signal.SIGKILL else ""
        return _failed(job, Failure(kind="killed", message=f"the process was ended by {name}{hint}"))
    return code


def _failed(job: Job, failure: Failure) -> int:
    save_run(job.results, worker.failed_record(job, failure), {})
    print(f"{job.spec.architecture}: FAILED: {failure.message}", file=sys.stderr)
    return worker.FAILED


def call(command: Sequence[str], beat: Path, patience_s: float) -> int | None:
    """Run a child in this terminal's process group; on Ctrl-C wait for it to end in its own way.

    Args:
        command: what to run.
        beat: the file that it touches as long as it goes on.
        patience_s: after so long without a touch it is ended.

    Returns:
        Its exit code, or minus the signal that ended it; none if it had to be ended.
    """
    with subprocess.Popen(command, env={**KEEP_MEMORY, **child_environment()}) as child:
        touched, since_s = _touched(beat), time.monotonic()
        while True:
            try:
                return child.wait(min(LOOK_S, patience_s))
            except KeyboardInterrupt:
                continue  # the terminal sent it to the child too, which saves and ends
            except subprocess.TimeoutExpired:
                # moments of the file are compared with each other alone: clocks may be set back
                now, last = _touched(beat), touched
                if now != last:
                    touched, since_s = now, time.monotonic()
                elif time.monotonic() - since_s > patience_s:
                    _end(child)
                    return None


def _touched(beat: Path) -> int | None:
    try:
        return beat.stat().st_mtime_ns
    except OSError:
        return None


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
