"""A run on another machine: what it needs to be told, and what is done there.

The folders of results and of work must lie on storage that all machines share: a run that one of them loses
goes on elsewhere from its checkpoint, and locks keep two from doing it twice. A file that the command puts
there, its mark, shows that; gone, it tells all machines to stop.
"""

import hashlib
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.launchers.base import LEAST_S, until
from harness.launchers.display import log_file
from harness.launchers.process import RunProcess
from harness.launchers.worker import ELSEWHERE, Ending, bad_input
from harness.system.errors import UserError
from harness.system.files import write_atomically
from harness.system.locks import run_lock
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED, counted_stops
from harness.system.surroundings import ROOT

LOOK_S = 1.0  # between looks at a run, and at whether it is still wanted
HANDOVER_S = 120.0  # for a process that a lost machine left behind to write its checkpoint and end


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Files by which machines see that they share the folders with the command that wants the runs.

    digest: of the command's code; other code would make other records.
    """

    results: Path
    work: Path
    token: str
    digest: str

    @classmethod
    def put(cls, request: RunRequest) -> "Mark":
        """A new one in both folders of a request; UserError if one can't be written."""
        results, work = request.results.resolve(), request.work.resolve()
        mark = cls(results=results, work=work, token=secrets.token_hex(8), digest=code_digest())
        for path in mark.files:
            write_atomically(path, mark.token.encode())
        return mark

    @property
    def files(self) -> tuple[Path, Path]:
        """One in either folder."""
        return self.results / f".cluster-{self.token}", self.work / f".cluster-{self.token}"

    def wanted(self) -> bool:
        """Whether the command still wants its runs. Opens the file: that asks the storage anew."""
        try:
            return self.files[1].read_text("utf-8") == self.token
        except FileNotFoundError:
            return False
        except OSError:
            return True  # storage that does not answer for a moment is no order to stop

    def withdraw(self) -> None:
        """Tell all machines to stop with their checkpoints."""
        for path in self.files:
            with suppress(OSError):
                path.unlink()

    def check(self) -> None:
        """Refuse, by a UserError, a machine that has other code, or does not share the folders."""
        if code_digest() != self.digest:
            raise UserError(f"{os.uname().nodename} has another version of the harness; install the same one")
        for option, path in zip(("--results", "--work"), self.files, strict=True):
            if not path.exists():
                raise UserError(
                    f"{os.uname().nodename} does not find the command's file in {path.parent}: "
                    f"{option} must lie on storage that all machines share"
                )


def code_digest() -> str:
    """SHA-256 over the three packages' sources."""
    digest = hashlib.sha256()
    for package in ("architectures", "datasets", "harness"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class RemoteRun:
    """A job as a machine is handed it.

    ends_at_s: end of the budget by time.time(), by which clocks of a cluster agree; none without one.
    """

    job: WorkerJob
    mark: Mark
    ends_at_s: float | None

    @classmethod
    def of(cls, job: WorkerJob, mark: Mark) -> "RemoteRun":
        """The job with paths that hold on every machine."""
        request, ends_at_s = job.request, None
        if request.deadline_s is not None:
            ends_at_s = time.time() + request.deadline_s - time.monotonic()
        absolute = {
            "results": mark.results,
            "work": mark.work,
            "data_root": None if request.data_root is None else os.path.abspath(request.data_root),
            "weights": {key: path.resolve() for key, path in request.weights.items()},
            "deadline_s": None,  # by this machine's clock
        }
        portable = job.model_copy(update={"request": request.model_copy(update=absolute)})
        return cls(job=portable, mark=mark, ends_at_s=ends_at_s)


def carry_out(run: RemoteRun) -> Ending:
    """Carry out a run on this machine: start its process, watch over it, stop it when it is no longer wanted."""
    job, mark = run.job, run.mark
    with counted_stops() as stops:
        try:
            if not mark.wanted() and mark.files[1].parent.exists():
                return Ending(code=STOPPED, line="not begun: the command no longer wants it")
            mark.check()
            left_s = None if run.ends_at_s is None else run.ends_at_s - time.time()
            if left_s is not None and left_s < LEAST_S:
                why = f"not begun, less than {LEAST_S:.0f} s of the budget are left"
                return Ending(code=TIME_LIMIT_REACHED, line=why)
            # after a machine was lost, what is left of it may still hold the run
            if not until(lambda: not worked_on(job) or not mark.wanted(), HANDOVER_S, LOOK_S):
                return Ending(code=ELSEWHERE, line="left to another process that works on it")
            deadline_s = None if left_s is None else time.monotonic() + left_s
            own = job.model_copy(update={"request": job.request.model_copy(update={"deadline_s": deadline_s})})
            process, seen = RunProcess(own, log=log_file(job.folder)), 0
            while (ending := process.poll()) is None:
                asked = stops() + (not mark.wanted())
                if asked > seen:
                    process.stop()
                    seen = asked
                time.sleep(LOOK_S)
            return ending
        except UserError as error:
            return bad_input(error)


def worked_on(job: WorkerJob) -> bool:
    """Whether a process somewhere holds the run."""
    with run_lock(job.results, job.spec.run_id) as own:
        return not own
