"""Splits decoded once into memory-mapped arrays.

An entry is a folder `<dataset>-<hash>/<split>-<height>x<width>/` with `images.npy` (brought to that size by
area averaging, stretched or padded), `labels.npy` (always at their own size; where sizes differ, one after another
in one row) and `manifest.json` with their checksums. It is built in a folder beside it and renamed when complete, so
that nobody sees half an entry; one that is damaged, as by a loss of power, is rebuilt.
"""

import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from datasets.base import Color, Dataset, DatasetError, Pixels, Progress, Size, one_line

FORMAT = 1
_LARGE = 4 << 20  # values of an image
_THREADS = 4  # that decode at once
_MANIFEST = "manifest.json"
_IMAGES, _LABELS = "images.npy", "labels.npy"


class RaggedLabels:
    """Labels of several sizes in one row of pixels, read as a sequence of maps (H, W).

    Args:
        row: all pixels, (P,) uint8.
        sizes: (height, width) of each label, in order.
    """

    def __init__(self, row: Pixels, sizes: Sequence[Size]) -> None:
        self._row = row
        self._sizes = sizes
        self._starts = np.concatenate([[0], np.cumsum([height * width for height, width in sizes], dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, index: int) -> Pixels:
        """One label (H, W); IndexError past the end."""
        place = range(len(self))[index]
        label: Pixels = self._row[self._starts[place] : self._starts[place + 1]].reshape(self._sizes[place])
        return label


@dataclass(frozen=True, kw_only=True)
class CachedSplit:
    """A split in memory maps: images (N, h, w, 3) uint8, labels (N, H, W) or ragged, uint8 with void as 255."""

    images: Pixels
    labels: Pixels | RaggedLabels
    image_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image_ids)


def open_split(
    dataset: Dataset,
    size: Size | None,
    folder: Path,
    progress: Progress | None = None,
    padding: Color | None = None,
) -> CachedSplit:
    """The split with its images at `size` (height, width), None for the dataset's own size; labels stay whole.

    Images of another shape are stretched to it, or padded with `padding` below or on the right (`padded_size`).

    Builds the entry under `folder` if it is missing or damaged; several processes may ask for one at once.
    DatasetError if `size` is larger than the images, a file is damaged or the entry cannot be written.
    """
    full = dataset.info.size
    size = full if size is None else size
    fits = 1 <= size[0] <= full[0] and 1 <= size[1] <= full[1]
    if not fits and (dataset.sizes is None or min(size) < 1):
        raise DatasetError(
            f"{dataset.info.name}: size {size[0]} x {size[1]} asked for, but the images have {full[0]} x "
            f"{full[1]} (height x width): images are only ever reduced"
        )
    entry = _Entry(dataset=dataset, size=size, folder=Path(folder), padding=padding)
    found = entry.read()
    if found is None:
        try:
            with entry.locked() as alone:
                found = entry.read() if alone else None
                if found is None:
                    entry.build(progress, alone)
                    found = entry.read()
        except OSError as error:
            reason = error.strerror or one_line(error)
            raise DatasetError(f"{entry.path}: the cache cannot be written: {reason}") from error
    if found is None:
        raise DatasetError(f"{entry.path}: the cache is damaged again right after it was built: check the disk")
    return found


def nearest_exact_indices(full: int, reduced: int, reach: Fraction = Fraction(1)) -> NDArray[np.int64]:
    """Indices (reduced,) into `full` rows at the centers of `reduced` cells: floor((i + 0.5) full reach / reduced).

    This takes labels where a reduced image's pixels lie. PyTorch calls it "nearest-exact"; its `nearest`
    takes floor(i full / reduced), which is shifted by half a cell. More cells than rows repeat rows.
    Cells that reach over the rows, `reach` of them in all, take the last row where their centers lie beyond it.
    DatasetError unless both are at least 1.
    """
    if min(reduced, full) < 1:
        raise DatasetError(f"cannot take {reduced} cell centers out of {full}: at least 1 of each")
    cells = np.arange(reduced, dtype=np.int64)
    centers = (2 * cells + 1) * full * reach.numerator // (2 * reduced * reach.denominator)
    return np.minimum(centers, full - 1)


def padded_size(full: Size, shape: Size) -> Size:
    """The smallest (H, W) around an image of `full` (height, width) whose sides are as those of `shape`."""
    return (
        max(full[0], -(-full[1] * shape[0] // shape[1])),
        max(full[1], -(-full[0] * shape[1] // shape[0])),
    )


def padded(label: Pixels, size: Size, value: int) -> Pixels:
    """A label (H, W) with `value` below it and on its right, up to `size`."""
    below, beside = size[0] - label.shape[0], size[1] - label.shape[1]
    return np.pad(label, ((0, below), (0, beside)), constant_values=value) if below or beside else label


def reduce_area(image: Pixels, size: Size, padding: Color | None = None) -> Pixels:
    """An image (H, W, 3) brought to `size` (h, w): each pixel is the mean over the area that it covers.

    A larger size repeats pixels, with the mean where two meet. Exact for any factor, halves rounded up. With
    `padding` the image keeps its shape: it is taken as one of `padded_size`, of that color where it has no pixels.
    (Pillow's BOX filter counts a pixel wholly or not at all, which is not the mean over the area unless the
    factor is a whole number.)
    """
    height, width = image.shape[:2]
    if size == (height, width):
        return image
    whole = (height, width) if padding is None else padded_size((height, width), size)
    rows, columns = _overlaps(whole[0], size[0]), _overlaps(whole[1], size[1])
    area = rows[0].sum() * columns[0].sum()
    rows, columns = rows[:, :height], columns[:, :width]
    # All products are whole numbers far below 2^53: float64 sums them exactly, on every machine.
    flat = image.reshape(height, -1)
    if image.size < _LARGE:
        sums = rows @ flat.astype(np.float64)
    else:  # row by row of those that a cell covers: a large image is never in memory as float64
        sums = np.empty((size[0], flat.shape[1]))
        for cell, shares in enumerate(rows):
            covered = np.flatnonzero(shares)
            part = slice(covered[0], covered[-1] + 1) if len(covered) else slice(0)
            sums[cell] = shares[part] @ flat[part].astype(np.float64)
    sums = columns @ sums.reshape(size[0], width, 3)
    if whole != (height, width):
        bare = area - np.outer(rows.sum(axis=1), columns.sum(axis=1))
        sums += bare[..., None] * np.asarray(padding, dtype=np.float64)
    reduced: Pixels = np.floor((2.0 * sums + area) / (2.0 * area)).astype(np.uint8)
    return reduced


def _overlaps(full: int, reduced: int) -> NDArray[np.float64]:
    """How much of each of `full` pixels each of `reduced` cells covers (reduced, full), in whole units."""
    common = math.gcd(full, reduced)
    cell, pixel = full // common, reduced // common
    cells = np.arange(reduced)[:, None] * cell
    pixels = np.arange(full)[None, :] * pixel
    shared = np.minimum(cells + cell, pixels + pixel) - np.maximum(cells, pixels)
    overlaps: NDArray[np.float64] = np.maximum(shared, 0).astype(np.float64)
    return overlaps


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One entry of the cache: where it lies and what it must hold."""

    dataset: Dataset
    size: Size
    folder: Path
    padding: Color | None = None

    @property
    def path(self) -> Path:
        """The entry's folder."""
        name = f"{self.dataset.info.name}-{self.dataset.content_hash[:16]}"
        ending = "" if self.padding is None else f"-padded-{bytes(self.padding).hex()}"
        return self.folder / name / f"{self.dataset.split}-{self.size[0]}x{self.size[1]}{ending}"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array."""
        count, sizes = len(self.dataset), self.dataset.sizes
        labels = (count, *self._label_size) if self._label_size else (sum(h * w for h, w in sizes or ()),)
        return {_IMAGES: (count, *self.size, 3), _LABELS: labels}

    @property
    def _label_size(self) -> Size | None:
        """(height, width) of all labels; none where they differ."""
        sizes = set(self.dataset.sizes or (self.dataset.info.size,))
        return sizes.pop() if len(sizes) == 1 else None

    def key(self) -> dict[str, Any]:
        """What the manifest must say about the entry for it to be the one asked for."""
        ragged = {} if self._label_size else {"sizes": [list(size) for size in self.dataset.sizes or ()]}
        return {
            **ragged,
            "format": FORMAT,
            "dataset": self.dataset.info.name,
            "content_hash": self.dataset.content_hash,
            "split": self.dataset.split,
            "image_ids": list(self.dataset.image_ids),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }

    def read(self) -> CachedSplit | None:
        """The entry's maps if it is there and whole, else None."""
        try:
            manifest = json.loads((self.path / _MANIFEST).read_text("utf-8"))
            if any(manifest.get(k) != v for k, v in self.key().items()):
                return None
            maps = {name: self._map(name, manifest["sha256"][name]) for name in self.shapes}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # missing, or damaged in whatever way: it is built again either way
        labels: Pixels | RaggedLabels = maps[_LABELS]
        if not self._label_size:
            labels = RaggedLabels(maps[_LABELS], self.dataset.sizes or ())
        return CachedSplit(images=maps[_IMAGES], labels=labels, image_ids=self.dataset.image_ids)

    def _map(self, name: str, checksum: str) -> Pixels:
        """An array as a read-only memory map; ValueError if it is not what was written."""
        with (self.path / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                raise ValueError(f"{name}: wrong checksum")
        array: Pixels = np.load(self.path / name, mmap_mode="r", allow_pickle=False)
        return array

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the entry's lock file while building, so that only one process does the work.

        Gives False on a file system without locks: then the rename alone decides who was first.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                yield False
            else:
                yield True

    def build(self, progress: Progress | None, alone: bool) -> None:
        """Write the entry beside its place and rename it; an entry that another process put there stays."""
        prefix = f".{self.path.name}-"
        if alone:
            for left in self.path.parent.glob(f"{prefix}*"):
                shutil.rmtree(left, ignore_errors=True)
        needed, free = sum(math.prod(shape) for shape in self.shapes.values()), shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise DatasetError(
                f"{self.path.parent}: {free >> 20:,} MiB free, but the decoded {self.dataset.split} split of "
                f"{self.dataset.info.name} takes {needed >> 20:,} MiB: make room, or name another folder with --work"
            )
        work = self.path.with_name(f"{prefix}{os.getpid()}-{secrets.token_hex(4)}")
        work.mkdir()
        try:
            checksums = self._write_arrays(work, progress)
            manifest = json.dumps({**self.key(), "sha256": checksums}, indent=1)
            (work / _MANIFEST).write_text(manifest, "utf-8")
            self._put_in_place(work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _write_arrays(self, work: Path, progress: Progress | None) -> dict[str, str]:
        """Decode the split into the two array files; their checksums."""
        # Written, not mapped: on a full disk a write fails with an error, a map kills the process.
        with (work / _IMAGES).open("wb") as images, (work / _LABELS).open("wb") as labels:
            files = {_IMAGES: _Summed(images), _LABELS: _Summed(labels)}
            for name, shape in self.shapes.items():
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(files[name], header)
            for index, (image, label) in enumerate(self._decoded()):
                files[_IMAGES].write(image.tobytes())
                files[_LABELS].write(label.tobytes())
                if progress is not None:
                    progress(index + 1, len(self.dataset))
            return {name: file.sum.hexdigest() for name, file in files.items()}

    def _decoded(self) -> Iterator[tuple[Pixels, Pixels]]:
        """Images at the entry's size and labels, decoded on several threads a few ahead."""

        def decode(index: int) -> tuple[Pixels, Pixels]:
            image, label = self.dataset[index]
            return reduce_area(image, self.size, self.padding), label

        threads = _THREADS if self.dataset.thread_safe else 1
        with ThreadPoolExecutor(threads) as pool:
            ahead = deque[Future[tuple[Pixels, Pixels]]]()
            for index in range(len(self.dataset)):
                ahead.append(pool.submit(decode, index))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _put_in_place(self, work: Path) -> None:
        """Rename the finished entry; a damaged one in its place is moved out of the way first."""
        try:
            work.rename(self.path)
        except OSError:
            if self.read() is not None:
                return
            old = work.with_name(f"{work.name}-old")
            with suppress(FileNotFoundError):
                self.path.rename(old)
            work.rename(self.path)
            shutil.rmtree(old, ignore_errors=True)


class _Summed:
    """A file, and the checksum of what is written to it: it may be too large to be read again for that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sum = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self.sum.update(data)
        return self._file.write(data)
