"""Measuring processes, seen from the one that started them: turns are asked for, and endings explained.

Each cell is measured in a fresh process, so that it meets nothing that another left in memory or in cuDNN.
"""

import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from harness.profiling.work import DONE, END, PHASE, READY, Found, Task
from harness.records.measurement import Failure
from harness.system.errors import UserError
from harness.system.files import replacing
from harness.system.subprocesses import child_environment

FINISHED, BAD_INPUT, STOPPED = 0, 2, 130  # exit codes of a worker

_HEARTBEAT_TIMEOUT_S = 10.0  # between passing Ctrl-C on and ending a worker that does not heed it
_MESSAGE_LIMIT = 300


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a worker ended.

    code: its exit code, or minus the signal that ended it.
    phase: the last one that it entered.
    error: what it said, in one line.
    oom_kills: processes that the kernel killed for want of memory meanwhile.
    """

    code: int
    phase: str
    error: str
    oom_kills: int


class Worker:
    """A process that takes turns: a context manager, which ends it.

    Args:
        command: what to start; it prints `ready` when it may be asked.
        on_phase: called with the name of each phase as it begins.
    """

    def __init__(self, command: Sequence[str], on_phase: Callable[[str], None] = lambda phase: None) -> None:
        self._command = list(command)
        self._on_phase = on_phase
        self._phase = "start"

    def __enter__(self) -> Self:
        self._kills = oom_kills()
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._stop()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None, "they are pipes"
            try:
                stream.close()
            except BrokenPipeError:  # what was not yet written goes with the process
                continue
        self._errors.close()

    def ready(self) -> bool:
        """Wait until it may be asked; false if it ended instead."""
        return self._wait_for(READY)

    def turn(self, what: str) -> bool:
        """Ask for something and wait until it is done; false if the process ended instead."""
        return self._tell(what) and self._wait_for(DONE)

    def end(self) -> Ending:
        """Let it end, and say how it did."""
        self._tell(END)
        self._wait_for("")  # reads to the end, so that the process can write all
        code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", errors="replace")
        kills = oom_kills() - self._kills
        return Ending(code=code, phase=self._phase, error=error_line(said), oom_kills=kills)

    def _tell(self, what: str) -> bool:
        assert self._process.stdin is not None, "it is a pipe"
        try:
            self._process.stdin.write(f"{what}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

    def _wait_for(self, word: str) -> bool:
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            said = line.rstrip()
            if said.startswith(PHASE):
                self._phase = said.removeprefix(PHASE)
                self._on_phase(self._phase)
            elif said and said == word:
                return True
        return False

    def _stop(self) -> None:
        """End a process that the terminal may or may not have sent the same Ctrl-C."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_HEARTBEAT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class CellWorker(Worker):
    """The worker of one task; its files lie in a folder that the caller provides and removes."""

    def __init__(self, task: Task, folder: Path, on_phase: Callable[[str], None] = lambda phase: None) -> None:
        self._output = folder / "found.json"
        with replacing(folder / "task.json", "free space, or set TMPDIR to another folder") as temporary:
            temporary.write_text(task.model_dump_json(), "utf-8")
        module = [sys.executable, "-m", "harness.profiling.worker"]
        super().__init__([*module, str(folder / "task.json"), str(self._output)], on_phase)

    def outcome(self) -> tuple[Found | None, Failure | None]:
        """Let it end: what it found, and why it failed, if it did.

        Raises:
            UserError: bad input that the worker found.
            KeyboardInterrupt: it was stopped by Ctrl-C.
        """
        ending = self.end()
        if ending.code in (STOPPED, -signal.SIGINT):
            raise KeyboardInterrupt
        if ending.code == BAD_INPUT:
            raise UserError(ending.error)
        found = Found.model_validate_json(self._output.read_bytes()) if self._output.exists() else None
        if ending.code != FINISHED:
            return found, failure_of(ending)
        return found, found.failure if found else None


def failure_of(ending: Ending) -> Failure:
    """Why a worker ended otherwise than with a result of its own.

    SIGKILL counts as out of memory only if the kernel counted such a kill meanwhile: others send it too.
    """
    if ending.code >= 0:
        message = ending.error or f"the process ended with exit code {ending.code}"
        kind: Literal["oom", "error"] = "oom" if "out of memory" in message.lower() else "error"
        return Failure(kind=kind, message=message[:_MESSAGE_LIMIT])
    name = signal.Signals(-ending.code).name
    if -ending.code == signal.SIGKILL and ending.oom_kills > 0:
        message = f"OOM ({ending.phase}): the process was killed by the kernel's OOM killer"
        return Failure(kind="oom", message=message)
    return Failure(kind="error", message=f"the process was ended by {name} ({ending.phase})")


def error_line(said: str) -> str:
    """What a process's errors say in one line: a traceback's last exception, else the last line."""
    lines = said.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (")]
    after = lines[starts[-1] + 1 :] if starts else []
    # what lies between is indented; an exception's own text may run on over further lines
    return next((line for line in after if not line.startswith(" ")), lines[-1] if lines else "")


def oom_kills() -> int:
    """Processes that the kernel has killed for want of memory since it started, here or in this container."""
    try:
        counters = Path("/proc/vmstat").read_text("utf-8")
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", counters, re.MULTILINE)
    return int(found[1]) if found else 0
