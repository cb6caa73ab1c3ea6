"""Who may do what at the same time: locks that the system takes back when a process ends, however it does.

A run is worked on by one process at a time; others leave it to that one. Measuring takes the machine alone:
it is refused while something trains or measures here, and training waits for it to be over.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from harness.system.errors import UserError

LOOK_S = 1.0  # between looks whether a measurement has ended


def run_lock(folder: Path, run_id: str) -> AbstractContextManager[bool]:
    """Hold a run of a results or work folder; false if another process does. UserError: it can't be written."""
    return _held(folder / ".locks" / run_id, shared=False)


def training_on_this_machine(
    on_wait: Callable[[], None], on_look: Callable[[], None] = lambda: None
) -> AbstractContextManager[None]:
    """Train beside others that train, once no measurement has the machine.

    Args:
        on_wait: called before waiting.
        on_look: called every second while waiting.
    """
    return _machine_held(shared=True, on_wait=on_wait, on_look=on_look)


def measuring_on_this_machine(
    on_wait: Callable[[], None] | None = None, on_look: Callable[[], None] = lambda: None
) -> AbstractContextManager[None]:
    """Have the machine alone. Without `on_wait` nobody waits: where something of ours trains or measures here, it
    raises UserError.
    """
    return _machine_held(shared=False, on_wait=on_wait or _refuse, on_look=on_look)


def _refuse() -> None:
    raise UserError(
        "another process of the harness trains or measures on this machine, which would spoil the times; "
        "wait until it has ended"
    )


@contextmanager
def _machine_held(*, shared: bool, on_wait: Callable[[], None], on_look: Callable[[], None]) -> Iterator[None]:
    # one file a machine and user, whatever results folder is written to
    path = Path(tempfile.gettempdir()) / f"segnet-harness-{os.getuid()}.lock"
    waiting = False
    while True:
        with _held(path, shared=shared) as own:
            if own:
                yield
                return
        if not waiting:
            on_wait()
            waiting = True
        on_look()
        time.sleep(LOOK_S)


@contextmanager
def _held(path: Path, *, shared: bool) -> Iterator[bool]:
    """Hold a lock; false if that would mean waiting."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; choose a folder that can be written") from error
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise UserError(
                f"{path}: its file system has no locks ({error.strerror}); choose a folder on one that has, such as "
                "NFS 4, or Lustre mounted with flock"
            ) from error
        yield True
    finally:
        os.close(handle)  # gives the lock back
