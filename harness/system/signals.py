"""When a run is to stop before its end: Ctrl-C, SIGTERM, or the end of a time budget."""

import os
import re
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from harness.system.errors import UserError

STOPPED = 130  # exit code of a process that was stopped and can be resumed
TIME_LIMIT_REACHED = 75  # of `run` whose budget is used up: the same command goes on

# Kept free at a budget's end for writing the checkpoint and leaving.
RESERVE_S = 15.0
BEAT_S = 2.0  # between signs of life
# Signals so close together are one: a batch system's goes to each process, and the parent passes it on too.
SAME_S = 1.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_time(text: str, what: str) -> float:
    """A length of time such as 90s, 25m or 1.5h, in seconds.

    Args:
        text: as given.
        what: named in the error, such as "budget".

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip())
    if found is None or float(found[1]) == 0:
        raise UserError(f"{what} {text!r}: write a number and s, m or h, such as 25m")
    return float(found[1]) * _UNITS[found[2]]


class Interrupted(Exception):
    """The run was asked to stop."""


def heartbeat(folder: Path, rank: int = 0) -> Path:
    """The file that a process of a run touches in its folder as long as it goes on."""
    return folder / (f"heartbeat-{rank}" if rank else "heartbeat")


class StopRequest:
    """Asked after each step and each evaluated batch whether to stop there.

    Ctrl-C and SIGTERM are remembered; another one, more than a second later, ends the process at once. A
    budget ends so early that two stretches as long as the longest between two questions so far, and writing
    the checkpoint, still fit in.

    Each question is a sign of life: the file `beat` is touched, at most every few seconds.
    Where `parent` is given, that process's end stops the run as a signal would.

    Args:
        deadline_s: by `time.monotonic`, which all processes of a machine share; none without a budget.
        beat: the file, whose folder exists; none: no sign is given.
        parent: id of the process that started this one; none: its end does not matter.
    """

    def __init__(self, deadline_s: float | None = None, beat: Path | None = None, parent: int | None = None) -> None:
        self._beat = beat
        self._parent = parent
        self._beaten_s = -BEAT_S
        self._asked = False
        self._asked_s = 0.0
        self.time_limit_reached = False
        self._deadline_s = deadline_s
        self._last_s: float | None = None
        self._longest_s = 0.0
        signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGTERM, self._handle)

    def __call__(self) -> bool:
        now_s = time.monotonic()
        if self._last_s is not None:
            self._longest_s = max(self._longest_s, now_s - self._last_s)
        self._last_s = now_s
        if self._beat is not None and now_s - self._beaten_s >= BEAT_S:
            self._beat.touch()
            self._beaten_s = now_s
        if self._deadline_s is not None and now_s + 2 * self._longest_s + RESERVE_S >= self._deadline_s:
            self.time_limit_reached = True
        if self._parent is not None and os.getppid() != self._parent:
            self._asked = True
        return self._asked or self.time_limit_reached

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._asked and now_s - self._asked_s > SAME_S:
            sys.exit(STOPPED)
        if not self._asked:
            self._asked, self._asked_s = True, now_s
