"""Who may do what at the same time: locks that the system takes back when a process ends, however it does.

A run is worked on by one process at a time; others leave it to that one. Measuring takes the machine alone:
it is refused while something trains or measures here, and training waits for it to be over.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.system.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


LOOK_S = 1.0  # between looks whether a measurement has ended


@contextmanager
def run_lock(folder: Path, run_id: str) -> Iterator[bool]:
    """Hold a run of a results folder, or of a work folder; false if another process holds it.

    Raises:
        UserError: the folder can't be written.
    """
    with _held(folder / ".locks" / run_id, shared=False) as own:
        yield own


@contextmanager
def training_on_this_machine(on_wait: Callable[[], None], on_look: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Train beside others that train, once no measurement has the machine.

    Args:
        on_wait: called before waiting.
        on_look: called every second while waiting.
    """
    with _machine_held(shared=True, on_wait=on_wait, on_look=on_look):
        yield


@contextmanager
def measuring_on_this_machine(
    on_wait: Callable[[], None] | None = None, on_look: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Have the machine alone.

    Args:
        on_wait: called before waiting; without it nobody waits.
        on_look: called every second while waiting.

    Raises:
        UserError: something of ours trains or measures here, and nobody wants to wait.
    """
    with _machine_held(shared=False, on_wait=on_wait or _refuse, on_look=on_look):
        yield


def _refuse() -> None:
    raise UserError(
        "another process of the harness trains or measures on this machine, which would spoil the times; "
        "wait until it has ended"
    )


@contextmanager
def _machine_held(*, shared: bool, on_wait: Callable[[], None], on_look: Callable[[], None]) -> Iterator[None]:
    waiting = False
    while True:
        with _held(_machine(), shared=shared) as own:
            if own:
                yield
                return
        if not waiting:
            on_wait()
            waiting = True
        on_look()
        time.sleep(LOOK_S)


def _machine() -> Path:
    """One file a machine and user, whatever results folder is written to."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"segnet-harness-{user}.lock"


@contextmanager
def _held(path: Path, *, shared: bool) -> Iterator[bool]:
    """Hold a lock; false if that would mean waiting. True where locks don't exist."""
    if fcntl is None:
        yield True
        return
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
