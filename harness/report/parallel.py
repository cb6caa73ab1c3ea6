"""Parts of a report made beside each other, on all cores: drawing is what takes the time."""

import multiprocessing
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from harness.system.environment import available_cores


@contextmanager
def in_parallel(parts: int) -> Iterator[Executor]:
    """What makes so many parts, as many at once as there are cores; what is left is dropped on an error.

    Args:
        parts: how many there will be; they must have no effect on each other and be picklable.
    """
    workers = min(parts, available_cores())
    # children that import all anew would take as long as they save; elsewhere it is not safe to fork
    if workers > 1 and sys.platform == "linux":
        fork = multiprocessing.get_context("fork")
        pool: Executor = ProcessPoolExecutor(workers, mp_context=fork, initializer=_leave_interrupts)
    else:
        pool = ThreadPoolExecutor(1)  # one: matplotlib's settings are the process's
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts() -> None:
    """Ctrl-C is for the process that waits for these."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
