"""Files that are whole or not there: written beside the target, flushed to the disk, put in its place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.system.errors import UserError

LONGEST_NAME = 255 - 24
"""Bytes that a target's name may have: file systems take 255, and temporary files add to it."""

_MORE_BYTES = 1 << 20


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
        RuntimeError: of the block, where the disk takes more: it is no error of the system.
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
        reason = _reason(error, temporary)
        if reason is None:
            raise
        named = f"{what} {path}" if what else str(path)
        raise UserError(f"can't write {named}: {reason}; {advice}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: Path, advice: str) -> Iterator[Path]:
    """An empty folder beside the target, to be filled in the block, which then takes the target's place at once.

    An error leaves the target as it was, and no temporary folder. Arguments and errors are those of `replacing`.
    """
    staging, former = (folder.with_name(f".{folder.name}.{os.getpid()}{end}.tmp") for end in ("", ".old"))
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        yield staging
        if folder.exists():
            folder.replace(former)
        staging.replace(folder)
    except OSError as error:
        raise UserError(f"can't write {folder}: {error.strerror}; {advice}") from error
    finally:
        for temporary in (staging, former):
            shutil.rmtree(temporary, ignore_errors=True)


def mtime_ns(path: Path) -> int | None:
    """When a file was last written to, in nanoseconds; none where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _reason(error: OSError | RuntimeError, temporary: Path) -> str | None:
    """Why a file could not be written. torch's writer does not say; writing a little more does, or works: none."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    try:
        with temporary.open("ab") as file:
            file.write(bytes(_MORE_BYTES))
    except OSError as cause:
        return cause.strerror or str(cause)
    return None


def remove_leftovers(folder: Path, target: str = "") -> None:
    """Remove what killed processes had begun to write in a folder, for one target or for all; it need not exist.

    Only for who holds the lock of the targets: a living process may be about to put its file in place.
    """
    for path in folder.glob(f".{target}.*.tmp" if target else ".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a whole file or nothing; raises UserError where that fails."""
    with replacing(path, "free or choose another folder") as temporary:
        temporary.write_bytes(data)
