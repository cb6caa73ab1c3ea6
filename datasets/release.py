"""What the conversion of an official release needs: MATLAB's two file formats, and files that are whole."""

import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from datasets.base import DatasetError, Pixels, Progress, one_line

# Of chunks that were read, in bytes: one that holds parts of many images is then not unpacked for each.
_CHUNK_CACHE = 128 << 20
_CHUNK_SLOTS = 10_007


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What was made: the folder, and how many pairs now and before."""

    folder: Path
    made: int
    before: int


@contextmanager
def open_hdf5(path: Path, advice: str) -> Iterator[Any]:
    """An HDF5 file, which MATLAB 7.3 writes, open for reading.

    DatasetError ending with `advice` if it can't be read, or saying what to install if h5py is missing.
    """
    try:
        import h5py
    except ImportError as error:
        what = f"{path} is HDF5 and needs h5py to be read"
        raise DatasetError(f'{what}: `pip install -e ".[prepare]"` in the folder of this project brings it') from error
    try:
        file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE, rdcc_nslots=_CHUNK_SLOTS)
    except OSError as error:
        raise DatasetError(f"{path}: no readable HDF5 file ({one_line(error)}): {advice}") from error
    with file:
        yield file


def load_mat(path: Path, names: Sequence[str], advice: str) -> list[list[Any]]:
    """The elements of these variables of a MATLAB 5 file, column by column.

    DatasetError ending with `advice` if it can't be read or lacks one.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    # What loadmat raises for a damaged file or one of MATLAB 7.3, and what a missing variable ends in.
    broken = (OSError, ValueError, LookupError, TypeError, NotImplementedError, zlib.error, MatReadError)
    try:
        found = loadmat(path, variable_names=list(names))
        return [list(found[name].flat) for name in names]
    except broken as error:
        what = f"{path}: no readable list of {' and '.join(names)} ({one_line(error)})"
        raise DatasetError(f"{what}: {advice}") from error


def convert(target: Path, count: int, make: Callable[[int], bool], progress: Progress | None) -> Prepared:
    """Make so many pairs in a folder.

    Args:
        target: the folder.
        count: of pairs.
        make: makes one, by its place from 0, unless it is there; says whether it did.
        progress: told how far it is.
    """
    made = 0
    try:
        for index in range(count):
            made += make(index)
            if progress is not None:
                progress(index + 1, count)
    except OSError as error:
        raise DatasetError(f"{target}: cannot be written: {error.strerror or one_line(error)}") from error
    return Prepared(folder=target, made=made, before=count - made)


def png(label: Pixels) -> bytes:
    """A label (H, W) as the content of an 8-bit PNG file."""
    packed = io.BytesIO()
    Image.fromarray(label).save(packed, format="PNG")
    return packed.getvalue()


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under another name and rename it, so that half a file never bears its name."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
