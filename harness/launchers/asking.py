"""Ctrl-C and SIGTERM, counted: an exception in the midst of handing out runs could lose one."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def counted_stops() -> Iterator[Callable[[], int]]:
    """How often this process was asked to stop since the block began; for the main thread.

    Neither signal does anything else meanwhile.
    """
    asked = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            # none: a handler that was not set from Python, which Python can't put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
