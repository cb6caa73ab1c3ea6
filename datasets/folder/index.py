"""What was read of each file of a folder: size, content hash, label values. Kept, so that it is read once.

The index lies in the user's cache (`$XDG_CACHE_HOME`, else `~/.cache`), not in the folder. A file counts as
unchanged while its size and its time of modification are those of the index.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from datasets.base import DatasetError, Pair, Progress, Size, one_line
from datasets.folder.labels import VALUES, read_raw, turned
from datasets.folder.settings import Settings
from datasets.pictures import PHOTO_FORMATS, TurnedPicture, read_bytes, read_photo, read_size
from datasets.release import write_atomically

FORMAT = 4  # raised when what was read before may be refused now, or is written otherwise
MOST_VALUES = 1000  # of a label; the index holds all of them, of every file
_THREADS = 4  # each holds a picture, which may have 36 million pixels
_BAND = 1 << 20  # values counted at once: numpy makes eight bytes of each
_AT_ONCE = 256  # pairs handed to the threads, so that a large folder does not wait in memory


class FileFacts(BaseModel):
    """A file's [bytes, nanoseconds of modification], content hash and the picture's (height, width).

    values: pixels of each value of a label. classes: whether these values are classes already, since they come from
    colors. whole: whether an image was decoded to its end, and not its header alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stamp: tuple[int, int]
    sha256: str
    size: Size
    values: dict[int, int] = {}
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
    facts, errors = dict[Path, FileFacts](), dict[str, list[str]]()
    wanted = list(pairs)
    new = False

    def read(pair: Pair) -> list[tuple[Path, FileFacts | DatasetError]]:
        both = (pair.image, False), (pair.label, True)
        return [(file, _facts(file, label, known.get(str(file)), settings, whole)) for file, label in both]

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        for start in range(0, len(wanted), _AT_ONCE):
            for done, found in enumerate(pool.map(read, wanted[start : start + _AT_ONCE]), start=start + 1):
                for file, one in found:
                    if isinstance(one, DatasetError):
                        errors.setdefault("turned" if isinstance(one, TurnedPicture) else "files", []).append(str(one))
                    else:
                        facts[file], stored = one, one.model_dump(mode="json")
                        new |= known.get(str(file)) != stored
                        known[str(file)] = stored
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
    name = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:32]
    return base / "segnet-harness" / "folders" / f"{name}.json"


def _facts(path: Path, label: bool, stored: Any, settings: Settings, whole: bool) -> FileFacts | DatasetError:
    """A file's facts as the index has them, else read now; or what is wrong with it."""
    try:
        try:
            found = path.stat()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read: {error.strerror or one_line(error)}") from error
        stamp = (found.st_size, found.st_mtime_ns)
        known = _known(stored)
        # a file that was once taken for an image has no values
        if known and known.stamp == stamp and (known.values if label else (known.whole or not whole)):
            return known
        return _read_label(path, stamp, settings) if label else _read_image(path, stamp, settings, whole)
    except DatasetError as error:
        return error


def _known(stored: Any) -> FileFacts | None:
    try:
        return FileFacts.model_validate(stored)
    except ValidationError:
        return None  # there is none, or it is damaged


def _read_image(path: Path, stamp: tuple[int, int], settings: Settings, whole: bool) -> FileFacts:
    try:
        if whole:
            pixels = read_photo(path, settings.orientation)
            size = (pixels.shape[0], pixels.shape[1])
        else:
            size = read_size(path, PHOTO_FORMATS, settings.orientation)
    except TurnedPicture as error:
        raise turned(error, settings) from None
    return FileFacts(stamp=stamp, sha256=hashlib.sha256(read_bytes(path)).hexdigest(), size=size, whole=whole)


def _read_label(path: Path, stamp: tuple[int, int], settings: Settings) -> FileFacts:
    values, classes = read_raw(path, settings)
    flat, counts = values.reshape(-1), np.zeros(VALUES, np.int64)
    for start in range(0, flat.size, _BAND):
        counts += np.bincount(flat[start : start + _BAND], minlength=VALUES)
    found = {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    if len(found) > MOST_VALUES:
        raise DatasetError(
            f"{path}: the label holds {len(found):,} values, as if of instances or depths: save one class index a pixel"
        )
    digest, size = hashlib.sha256(read_bytes(path)).hexdigest(), (values.shape[0], values.shape[1])
    return FileFacts(stamp=stamp, sha256=digest, size=size, values=found, classes=classes, whole=True)


def _load(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}  # not there, or damaged: the files are read again


def _store(path: Path, known: Mapping[str, Any]) -> None:
    """Write the index; without it the files are read again each time, which is slow and no error."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(known, separators=(",", ":")).encode())
    except OSError:
        return
