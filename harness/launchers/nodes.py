"""What a machine of a cluster does: show that it can take part, carry out a run, measure.

The folders of results and of work must lie on storage that all machines share: a run that one of them loses
goes on elsewhere from its checkpoint, and locks keep two from doing it twice. A file that the command puts
there, its mark, shows that; gone, it tells all machines to stop.
"""

import hashlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.config.worker_job import WorkerJob
from harness.launchers import worker
from harness.launchers.cluster import until, worked_on
from harness.launchers.run import Outcome, measure_all
from harness.launchers.scheduling import LEAST_S, log_file
from harness.launchers.supervisor import Apart, run_worker
from harness.profiling.scheduler import Request
from harness.system.environment import Device, device_slug
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.locks import run_lock
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED
from harness.system.subprocesses import child_environment

HANDOVER_S = 120.0  # for a process that a lost machine left behind to write its checkpoint and end
ROOT = Path(__file__).resolve().parents[2]
_SLUG = "from harness.system.environment import device_slug; print(device_slug('cuda'))"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Files by which machines see that they share the folders with the command that wants the runs."""

    results: Path
    work: Path
    token: str

    @property
    def name(self) -> str:
        """Of the file in either folder, and of a lock that the command holds."""
        return f".cluster-{self.token}"

    @property
    def folders(self) -> tuple[tuple[str, Path], ...]:
        """By the option that names each."""
        return (("--results", self.results), ("--work", self.work))

    def wanted(self) -> bool:
        """Whether the command still wants its runs. Opens the file: that asks the storage anew."""
        try:
            return (self.work / self.name).read_text("utf-8") == self.token
        except FileNotFoundError:
            return False
        except OSError:
            return True  # storage that does not answer for a moment is no order to stop

    def withdraw(self) -> None:
        """Tell all machines to stop with their checkpoints."""
        (self.work / self.name).unlink(missing_ok=True)


@contextmanager
def marked(results: Path, work: Path) -> Iterator[Mark]:
    """A mark in both folders while the block runs.

    Raises:
        UserError: a folder can't be written.
    """
    mark = Mark(results=results.resolve(), work=work.resolve(), token=secrets.token_hex(8))
    with run_lock(mark.results, mark.name):
        try:
            for _, folder in mark.folders:
                write_atomically(folder / mark.name, mark.token.encode())
            yield mark
        finally:
            for folder in (mark.results, mark.work, mark.results / ".locks"):
                with suppress(OSError):
                    (folder / mark.name).unlink()


def code_digest() -> str:
    """SHA-256 over the three packages' sources: machines with other code would make other records."""
    digest = hashlib.sha256()
    for package in ("architectures", "datasets", "harness"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a machine says of itself: its device as results name it, or why it can't take part."""

    device_slug: str | None = None
    complaint: str | None = None


def introduce(mark: Mark, device: Device, digest: str) -> Answer:
    """Whether this machine can take part.

    Args:
        mark: of the command that asks.
        device: to compute on.
        digest: of that command's code.
    """
    try:
        if code_digest() != digest:
            return Answer(complaint="has another version of the harness; install the same one")
        _share(mark)
        return Answer(device_slug=_device_slug(device))
    except UserError as error:
        return Answer(complaint=str(error))


def _share(mark: Mark) -> None:
    """Raises UserError unless both folders are the command's own, can be written, and locks reach here."""
    for option, folder in mark.folders:
        advice = f"{option} must lie on storage that all machines of the cluster share"
        try:
            if (folder / mark.name).read_text("utf-8") != mark.token:
                raise UserError(f"finds another file in {folder} than the command put there; {advice}")
            with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{mark.name}-"):
                pass
        except OSError as error:
            raise UserError(f"can't use {folder}: {error.strerror}; {advice}") from None
    try:
        with run_lock(mark.results, mark.name) as own:
            if not own:
                return
    except OSError as error:
        raise UserError(f"can't lock files in {mark.results}: {error.strerror}; {_LOCKS}") from None
    raise UserError(f"does not see locks of other machines in {mark.results}; {_LOCKS}")


_LOCKS = "mount --results with locks that reach all machines, else two of them could do one run"


def _device_slug(device: Device) -> str:
    if device == "cpu":
        return device_slug("cpu")
    # a child: it may be that this process is shown no GPU, and a look at one would keep hold of its memory
    variables = {key: value for key, value in child_environment().items() if key != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run([sys.executable, "-c", _SLUG], env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"has no GPU that torch can use: {reason}")
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended on a machine: its worker's exit code, and what else there is to say."""

    code: int
    line: str = ""


def execute(job: WorkerJob, mark: Mark, ends_at_s: float | None) -> Ended:
    """Carry out a run on this machine: start its worker, watch over it, stop it when it is no longer wanted.

    Args:
        job: what to run; its deadline is not looked at, since machines count from different moments.
        mark: of the command that wants it.
        ends_at_s: end of the budget by time.time(), by which clocks of a cluster agree; none without one.
    """
    if not mark.wanted():
        return Ended(code=STOPPED, line="not begun: the command no longer wants it")
    left_s = None if ends_at_s is None else ends_at_s - time.time()
    if left_s is not None and left_s < LEAST_S:
        return Ended(code=TIME_LIMIT_REACHED, line="not begun, the budget is used up")
    if not _handed_over(job, mark):
        return Ended(code=worker.ELSEWHERE, line="left to another process that works on it")
    deadline_s = None if left_s is None else time.monotonic() + left_s
    own = job.model_copy(update={"parent_pid": os.getpid(), "deadline_s": deadline_s})
    apart = Apart(log=log_file(job.folder), asks=lambda: 0 if mark.wanted() else 1)
    try:
        return Ended(code=run_worker(own, apart))
    except UserError as error:
        return Ended(code=worker.BAD_INPUT, line=str(error))


def _handed_over(job: WorkerJob, mark: Mark) -> bool:
    """Wait for whoever holds the run: after a machine was lost, that may be what is left of it."""
    until(lambda: not (worked_on(job) and mark.wanted()), HANDOVER_S, look_s=1.0)
    return not worked_on(job)


def measure(requests: Sequence[Request], results: Path, folder: Path) -> Outcome:
    """Measure on this machine, alone; what is printed goes to the folder's log.

    Raises:
        UserError: bad input.
    """
    # Ray stops a task by this handler, which it is without if the cluster was started in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder.mkdir(parents=True, exist_ok=True)
    with log_file(folder).open("a", encoding="utf-8") as log:
        return measure_all(requests, results, Console(file=log, width=200), wait=True)
