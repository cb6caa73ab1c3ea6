"""Parts of a report made beside each other, on all cores: drawing is what takes the time."""

import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from harness.system.environment import available_cores

_parts: Sequence[Callable[[], Any]] = ()  # of a process that makes some of them, which is forked with them


def in_parallel(parts: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the parts make, in their order, as many made at once as there are cores; the rest is dropped on an error.

    Args:
        parts: they must have no effect on each other; what they make must be picklable.
    """
    workers = min(len(parts), available_cores())
    # children that import all anew would take as long as they save; elsewhere it is not safe to fork
    if workers < 2 or sys.platform != "linux":
        return [part() for part in parts]
    fork = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(workers, mp_context=fork, initializer=_begin, initargs=(parts,))
    try:
        return list(pool.map(_make, range(len(parts))))
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parts: Sequence[Callable[[], Any]]) -> None:
    """Ctrl-C is for the process that waits for these; what it had before is never garbage here."""
    global _parts
    _parts = parts
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(index: int) -> Any:
    return _parts[index]()
