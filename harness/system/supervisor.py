"""Child processes of the harness, seen from the one that started them: their start, their heartbeat, their end."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from harness.system.files import mtime_ns
from harness.system.signals import SUPERVISOR
from harness.system.surroundings import ROOT, cleaned

LONGEST_LOOK_S = 60.0  # that counts between two looks at a heartbeat, which are seconds apart


def command(module: str, *arguments: object) -> list[str]:
    """What starts a module of ours; the current folder does not come before our packages."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def child_environment() -> dict[str, str]:
    """This process's environment, in which a child finds our packages first wherever it is started."""
    here = [os.getcwd()] if {"", os.getcwd()} & set(sys.path) else []  # where plugins may lie
    paths = [str(ROOT), *here, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    path = os.pathsep.join(dict.fromkeys(filter(None, paths)))
    return {**cleaned(os.environ), "PYTHONPATH": path, SUPERVISOR: str(os.getpid())}


@dataclass(frozen=True, kw_only=True)
class ChildEnding:
    """How a child ended.

    code: its exit code, or minus the signal that ended it.
    oom_killed: whether the kernel killed for want of memory meanwhile. Others send SIGKILL too.
    """

    code: int
    oom_killed: bool

    @property
    def kind(self) -> Literal["oom", "killed", "error"]:
        """As records name it."""
        if self.code >= 0:
            return "error"
        return "oom" if self.code == -signal.SIGKILL and self.oom_killed else "killed"

    def __str__(self) -> str:
        if self.code >= 0:
            return f"the process ended with exit code {self.code}"
        if self.kind == "oom":
            return "the process was killed by the kernel's OOM killer"
        return f"the process was ended by {signal.Signals(-self.code).name}"


class Child:
    """A child process.

    Args:
        command: what to run.
        environment: all of its variables; none: this process's, as `child_environment` gives it.
        output: what gets all that it prints; none: this process's own output.
        detached: it runs in a session of its own, which no terminal's signal reaches.
        pipes: its standard input and output are pipes to this process.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | None = None,
        detached: bool = False,
        pipes: bool = False,
    ) -> None:
        self._kills = oom_kills()
        self.process = subprocess.Popen(
            list(command),
            env=child_environment() if environment is None else environment,
            stdin=subprocess.PIPE if pipes else None,
            stdout=subprocess.PIPE if pipes else output,
            stderr=output,
            start_new_session=detached,
            encoding="utf-8" if pipes else None,
            errors="replace" if pipes else None,
        )

    def ending(self, timeout_s: float | None = None) -> ChildEnding | None:
        """How it ended; none if it goes on after so many seconds (none: waits for its end)."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        return ChildEnding(code=code, oom_killed=oom_kills() > self._kills)

    def end(self, number: signal.Signals, grace_s: float) -> None:
        """Ask it to end by a signal, and kill it where it has not after so many seconds."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(number)
        if self.ending(grace_s) is None:
            self.process.kill()
            self.process.wait()


class Heartbeat:
    """The file that a process touches as long as it goes on, seen by who waits for it.

    Times of the file are compared with each other alone: clocks may be set back. Of a long time between two looks
    little counts: who did not look was paused, as a container or a virtual machine can be, and the process with it.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._touched, self._looked_s, self._silent_s = mtime_ns(path), time.monotonic(), 0.0

    def has_stopped(self) -> bool:
        """Whether it has not been touched for too long."""
        touched, looked_s = mtime_ns(self._path), time.monotonic()
        self._silent_s += min(looked_s - self._looked_s, LONGEST_LOOK_S)
        if touched != self._touched:
            self._silent_s = 0.0
        self._touched, self._looked_s = touched, looked_s
        return self._silent_s > self._timeout_s


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
