"""Checksums of the files of a folder, in the format that `sha256sum --check` reads."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

NAME = "SHA256SUMS"


def checksums(files: Mapping[str, bytes]) -> bytes:
    """The content of SHA256SUMS, of files by their names."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    return "".join(lines).encode()


def read_checked(folder: Path, name: str) -> bytes:
    """A file's content, which is as the folder's SHA256SUMS has it. Folders older than these have none.

    Raises:
        ValueError: it can't be read, or is not what was written: one line that names it.
    """
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    expected = _expected(folder, name)
    if expected is not None and hashlib.sha256(data).hexdigest() != expected:
        raise ValueError(f"{path}: damaged: its content is not what {NAME} says")
    return data


def _expected(folder: Path, name: str) -> str | None:
    path = folder / NAME
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: can't be read: {' '.join(str(error).split())}") from error
    digests = {found: digest for digest, mark, found in (line.partition("  ") for line in lines) if mark}
    if name not in digests:
        raise ValueError(f"{path}: damaged: it does not name {name}")
    return digests[name]
