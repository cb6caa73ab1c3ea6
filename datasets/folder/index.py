"""What was read of each file of a folder: size, content hash, label values. Kept, so that it is read once.

The index lies in the user's cache (`$XDG_CACHE_HOME`, else `~/.cache`), not in the folder. A file counts as
unchanged while its size and its time of modification are those of the index.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DatasetError, Pair, Size, one_line
from datasets.folder.labels import read_raw, turned
from datasets.folder.settings import Settings
from datasets.pictures import PHOTO_FORMATS, TurnedPicture, read_bytes, read_photo, read_size
from datasets.release import write_atomically

FORMAT = 3  # raised when what was read before may be refused now
MOST_VALUES = 1000  # of a label; the index holds all of them, of every file
_THREADS = 8
_AT_ONCE = 256  # pairs handed to the threads, so that a large folder does not wait in memory

Progress = Callable[[int, int], None]
"""Called with (pairs read, pairs in all)."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """A file's content hash and the picture's (height, width); `values`: pixels of each value of a label.

    classes: whether these values are classes already, since they come from colors. whole: whether an image was
    decoded to its end, and not its header alone.
    """

    sha256: str
    size: Size
    values: Mapping[int, int]
    classes: bool = False
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Facts of every readable file, and the errors of the others, by kind."""

    facts: Mapping[Path, FileFacts]
    errors: Mapping[str, list[str]]


def read_files(
    folder: Path, settings: Settings, pairs: Iterable[Pair], progress: Progress | None = None, *, whole: bool = False
) -> Reading:
    """Read what the index lacks, on several threads, and bring the index up to date.

    Args:
        folder: of the dataset.
        settings: its settings.
        pairs: all of them.
        progress: told how far it is.
        whole: decode images to their end too, as a check does.
    """
    path = index_path(folder, settings)
    known = _load(path)
    stamps, facts, errors = _Stamps(), {}, dict[str, list[str]]()
    wanted = list(pairs)
    new = False

    def read(pair: Pair) -> list[tuple[Path, list[int], FileFacts | DatasetError, bool]]:
        return [_facts(one, label, known, stamps, settings, whole) for one, label in _both(pair)]

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(wanted), _AT_ONCE):
            for done, found in enumerate(pool.map(read, wanted[start : start + _AT_ONCE]), start=start + 1):
                for file, stamp, one, fresh in found:
                    new |= fresh
                    if isinstance(one, DatasetError):
                        errors.setdefault("turned" if isinstance(one, TurnedPicture) else "files", []).append(str(one))
                    else:
                        facts[file] = one
                        known[str(file)] = _packed(stamp, one)
                if progress is not None:
                    progress(done, len(wanted))
    if new:
        _store(path, known)
    return Reading(facts=facts, errors={kind: list(dict.fromkeys(lines)) for kind, lines in errors.items()})


def index_path(folder: Path, settings: Settings) -> Path:
    """Where the index of a folder lies; another way to read labels has another one."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    base = base.expanduser() if str(base).startswith("~") else base
    key = json.dumps([FORMAT, str(folder.resolve()), settings.orientation, sorted(settings.label_colors.items())])
    return (
        base / "segnet-harness" / "folders" / f"{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:32]}.json"
    )


def _both(pair: Pair) -> tuple[tuple[Path, bool], tuple[Path, bool]]:
    return (pair.image, False), (pair.label, True)


class _Stamps:
    """Size and time of modification of files."""

    def of(self, path: Path) -> list[int]:
        """[bytes, nanoseconds]; DatasetError if there is no such file."""
        try:
            found = path.stat()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from error
        return [found.st_size, found.st_mtime_ns]


def _facts(
    path: Path, label: bool, known: Mapping[str, Any], stamps: _Stamps, settings: Settings, whole: bool
) -> tuple[Path, list[int], FileFacts | DatasetError, bool]:
    """(file, stamp, facts or what is wrong, whether it was read now)."""
    stamp: list[int] = []
    try:
        stamp = stamps.of(path)
        stored = _unpacked(known.get(str(path)), stamp)
        # a file that was once taken for an image has no values
        if stored is not None and (stored.values if label else (stored.whole or not whole)):
            return path, stamp, stored, False
        return path, stamp, (_read_label if label else _read_image)(path, settings, whole), True
    except DatasetError as error:
        return path, stamp, error, False


def _read_image(path: Path, settings: Settings, whole: bool) -> FileFacts:
    try:
        if whole:
            pixels = read_photo(path, settings.orientation)
            size = (pixels.shape[0], pixels.shape[1])
        else:
            size = read_size(path, PHOTO_FORMATS, settings.orientation)
    except TurnedPicture as error:
        raise turned(error, settings) from None
    return FileFacts(sha256=hashlib.sha256(read_bytes(path)).hexdigest(), size=size, values={}, whole=whole)


def _read_label(path: Path, settings: Settings, whole: bool) -> FileFacts:
    values, classes = read_raw(path, settings)
    counts = np.bincount(values.reshape(-1))
    found = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    if len(found) > MOST_VALUES:
        raise DatasetError(
            f"{path}: the label holds {len(found):,} values, as if of instances or depths: save one class index a pixel"
        )
    digest = hashlib.sha256(read_bytes(path)).hexdigest()
    return FileFacts(sha256=digest, size=(values.shape[0], values.shape[1]), values=found, classes=classes, whole=True)


def _packed(stamp: list[int], facts: FileFacts) -> list[Any]:
    values = [number for pair in facts.values.items() for number in pair]
    return [*stamp, facts.sha256, *facts.size, int(facts.classes), int(facts.whole), values]


def _unpacked(stored: Any, stamp: list[int]) -> FileFacts | None:
    """The facts of an entry, none where it is not of this file, or damaged."""
    try:
        if stored is None or stored[:2] != stamp:
            return None
        _, _, sha256, height, width, classes, whole, values = stored
        counts = {int(value): int(count) for value, count in zip(values[::2], values[1::2], strict=True)}
        return FileFacts(
            sha256=str(sha256),
            size=(int(height), int(width)),
            values=counts,
            classes=bool(classes),
            whole=bool(whole),
        )
    except (TypeError, ValueError, KeyError):
        return None


def _load(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text("utf-8"))
        return dict(stored["files"]) if stored["format"] == FORMAT else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # not there, or damaged: the files are read again


def _store(path: Path, known: Mapping[str, Any]) -> None:
    """Write the index; without it the files are read again each time, which is slow and no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"format": FORMAT, "files": known}, separators=(",", ":")).encode())
    except OSError:
        return
