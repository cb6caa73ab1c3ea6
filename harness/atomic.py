"""Files that are whole or not there: written beside the target, flushed to the disk, put in its place."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import UserError


@contextmanager
def replacing(path: Path, advice: str, what: str = "") -> Iterator[Path]:
    """A temporary file beside the target, to be written in the block, which then replaces the target.

    An error leaves the target as it was, and no temporary file.

    Args:
        path: the target; its folder is made if need be.
        advice: what to do about an error.
        what: named in it, such as "checkpoint".

    Raises:
        UserError: the disk is full or the folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    # torch's writer reports a full disk as RuntimeError
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        named = f"{what} {path}" if what else str(path)
        raise UserError(f"can't write {named}: {reason}; {advice}") from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing.

    Raises:
        UserError: the folder can't be written.
    """
    with replacing(path, "free or choose another folder") as temporary:
        temporary.write_bytes(data)
