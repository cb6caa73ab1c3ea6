"""Checks a dataset: counts, sizes, label values, content hash and the share of the classes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from datasets.base import VOID, Dataset, DatasetError, DatasetInfo, Pair, Pixels, Progress, Size
from datasets.files import FileModule
from datasets.pictures import read_size
from datasets.registry import content_hash, file_module, info, load

Histogram = tuple[int, ...]

EXPECTED_PIXELS: Mapping[str, Mapping[str, Histogram]] = MappingProxyType(
    {
        "camvid": {
            "train": (
                10682767, 14750079, 623349, 20076880, 2845085, 6166762,
                743859, 714595, 3719877, 405385, 184967, 2503995,
            ),
            "val": (
                1601620, 4531180, 98499, 5053176, 1521751, 2851125,
                155724, 537197, 304716, 113531, 387010, 297271,
            ),
            "test": (
                6870982, 9906732, 473895, 10390661, 3731857, 4530895,
                406612, 476807, 1599124, 255232, 76220, 1543383,
            ),
        }
    }
)  # fmt: skip
"""Label pixels of each class, void last, counted in SegNet's distribution."""


@dataclass(frozen=True, kw_only=True)
class SplitCheck:
    """What was found in a split: pixels are one count a class and void last; expected ones may be unknown."""

    split: str
    images: int
    expected_images: int
    sizes: tuple[Size, ...]
    pixels: Histogram
    expected_pixels: Histogram | None


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check found. `content_hash` is None where the folders are too damaged to take it."""

    info: DatasetInfo
    folder: Path | None
    variant: str | None
    content_hash: str | None
    splits: tuple[SplitCheck, ...]
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems


Read = Callable[[set[Size]], Pixels]
"""Reads a label and adds its image's size to those seen."""


def check(name: str, root: Path | str | None = None, progress: Progress | None = None) -> CheckReport:
    """Read the whole dataset and report all that is wrong with it, each problem in one line with its file.

    DatasetError only if the name is unknown or there is no such folder at all.
    """
    described, source = info(name, root), file_module(name)
    folder: Path | None = None
    reads: dict[str, Sequence[Read]] = {}
    wrong: dict[str, tuple[str, ...]] = {}
    if source is not None:
        folder = source.locate(root)
        for split in described.splits:
            pairs, wrong[split] = source.survey(folder, split)
            reads[split] = [partial(_of_pair, source, pair) for pair in pairs]
    else:
        for split in described.splits:
            dataset = load(name, split, root)
            reads[split] = [partial(_of_item, dataset, index) for index in range(len(dataset))]
    problems: list[str] = []
    splits = []
    done, total = 0, sum(map(len, reads.values()))
    for split, labels in reads.items():
        problems += wrong.get(split, ())
        sizes: set[Size] = set()
        pixels = np.zeros(described.num_classes + 1, np.int64)
        for read in labels:
            try:
                pixels += _count(read(sizes), described.num_classes)
            except DatasetError as error:
                problems.append(str(error))
            done += 1
            if progress is not None:
                progress(done, total)
        splits.append(_split_check(described, split, len(labels), sizes, pixels, problems))
    variant, digest = _identity(name, folder or root, source, problems)
    return CheckReport(
        info=described,
        folder=folder,
        variant=variant,
        content_hash=digest,
        splits=tuple(splits),
        problems=tuple(dict.fromkeys(problems)),
    )


def _of_pair(source: FileModule, pair: Pair, sizes: set[Size]) -> Pixels:
    sizes.add(read_size(pair.image))
    return source.read_pair(pair, source.INFO.size)[1]


def _of_item(dataset: Dataset, index: int, sizes: set[Size]) -> Pixels:
    image, label = dataset[index]
    sizes.add((image.shape[0], image.shape[1]))
    return label


def _identity(
    name: str, folder: Path | str | None, source: FileModule | None, problems: list[str]
) -> tuple[str | None, str | None]:
    """(variant, content hash), and the problem if they are not known."""
    try:
        variant, digest = content_hash(name, folder)
    except DatasetError:
        # The folders do not fit together, which is among the problems already.
        return None, None
    if source is not None and variant == source.UNKNOWN_VARIANT:
        problems.append(f"{folder}: content hash {digest[:16]} is of no known edition: results are marked {variant}")
    return variant, digest


def _count(label: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Pixels of each class, void last."""
    counts = np.bincount(label.reshape(-1), minlength=VOID + 1)
    return np.append(counts[:num_classes], counts[VOID]).astype(np.int64)


def _split_check(
    described: DatasetInfo,
    split: str,
    images: int,
    sizes: set[Size],
    pixels: NDArray[np.int64],
    problems: list[str],
) -> SplitCheck:
    """Put a split's findings together and add what differs from what is expected."""
    wanted, expected = described.splits[split], EXPECTED_PIXELS.get(described.name, {}).get(split)
    if images != wanted:
        problems.append(f"{split}: {images} images with labels, expected {wanted}")
    counted = tuple(int(v) for v in pixels)
    names = (*described.classes, "void")
    if expected is not None and images == wanted:
        for name, seen, right in zip(names, counted, expected, strict=True):
            if seen != right:
                problems.append(f"{split}: {seen} pixels of {name}, expected {right}")
    return SplitCheck(
        split=split,
        images=images,
        expected_images=wanted,
        sizes=tuple(sorted(sizes)),
        pixels=counted,
        expected_pixels=expected,
    )
