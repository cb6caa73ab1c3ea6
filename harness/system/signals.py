"""When a run is to stop before its end: a signal, the end of a time budget, the end of the process that started it."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from harness.system.errors import UserError

STOPPED = 130  # exit code of a process that was stopped and can be resumed
TIME_LIMIT_REACHED = 75  # of `run` whose budget is used up: the same command goes on

# Kept free at a budget's end for writing the checkpoint and leaving.
RESERVE_S = 15.0
BEAT_S = 2.0  # between heartbeats
# Signals so close together are one: a batch system's goes to each process, and the parent passes it on too.
SAME_S = 1.0
SUPERVISOR = "SEGNET_SUPERVISOR"  # variable: id of the process that started this one and watches over it

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
# Signals that end no process by default, that can't be handled, that report a fault of the process itself, or
# that Python ignores (SIGPIPE, SIGXFSZ).
_NOT_A_STOP = {
    getattr(signal, f"SIG{name}", None)
    for name in (
        *("CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH", "INFO", "KILL"),
        *("ABRT", "BUS", "EMT", "FPE", "ILL", "SEGV", "SYS", "TRAP", "PIPE", "XFSZ"),
    )
}
STOP_SIGNALS = tuple(sorted(number for number in signal.valid_signals() if number not in _NOT_A_STOP))


def parse_time(text: str, what: str) -> float:
    """A length of time such as 90s, 25m or 1.5h, in seconds; UserError, which names `what`, where it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh])", text.strip(), re.ASCII)
    if found is None or float(found[1]) == 0:
        raise UserError(f"{what} {text!r}: write a number and s, m or h, such as 25m")
    return float(found[1]) * _UNITS[found[2]]


def handle_stops(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Have every signal that ends a process by default call the handler; the handlers of before, by signal.

    One that is ignored stays so, as after `nohup`. Only the main thread may handle signals: in another one
    nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    before: dict[int, Any] = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    # none: a handler that was not set from Python, which Python can't put back
    before = {number: found for number, found in before.items() if found not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
    return before


@contextmanager
def counted_stops() -> Iterator[Callable[[], int]]:
    """How often this process was asked to stop since the block began.

    The signals do nothing else meanwhile: an exception in the midst of starting runs could lose one.
    """
    asked = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1

    before = handle_stops(note)
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Interrupted(Exception):
    """The run was asked to stop."""


def heartbeat(folder: Path) -> Path:
    """The file that the process of a run touches in its folder as long as it goes on."""
    return folder / "heartbeat"


class StopRequest:
    """Asked after each step and each evaluated batch whether to stop there.

    Every signal that ends a process by default is remembered; another one, more than a second later, ends the
    process at once. The end of the process that started this one counts as a signal. A budget ends so early
    that two stretches as long as the longest between two questions so far, and writing the checkpoint, still
    fit in.

    Each question is a heartbeat: the file `beat` is touched, at most every few seconds.

    Args:
        deadline_s: by `time.monotonic`, which all processes of a machine share; none without a budget.
        beat: the file, whose folder exists; none: no heartbeat is given.
    """

    def __init__(self, deadline_s: float | None = None, beat: Path | None = None) -> None:
        self._beat = beat
        self._beaten_s = -BEAT_S
        self._asked_s = 0.0
        self.asked = False
        self.time_limit_reached = False
        self._deadline_s = deadline_s
        self._last_s: float | None = None
        self._longest_s = 0.0
        handle_stops(self._handle)

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
        parent = str(os.getppid())  # another one once the process that was to watch over this one has ended
        self.asked |= os.environ.get(SUPERVISOR, parent) != parent
        return self.asked or self.time_limit_reached

    def raise_if_asked(self) -> None:
        """The same question, where nothing is to be saved: raises Interrupted if it is to stop."""
        if self():
            raise Interrupted

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.asked and now_s - self._asked_s > SAME_S:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._asked_s = True, now_s
