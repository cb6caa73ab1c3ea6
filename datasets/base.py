"""What every dataset offers: its description, its items and its error."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

VOID = 255
"""Label value of pixels that belong to no class, whatever the files use."""

SPLITS = ("train", "val", "test")

LONGEST_ID = 227
"""Bytes of an image's id: 255 of a file's name less those of `.prediction-ID.png.PID.tmp`, PID of seven digits."""

Size = tuple[int, int]
Color = tuple[int, int, int]
Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]
"""Called with (done, in all): images, pairs or pictures."""

ROAD_CLASSES = (
    "Sky",
    "Building",
    "Column-Pole",
    "Road",
    "Side-walk",
    "Tree",
    "Sign-Symbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
"""CamVid's 11 classes in the order of SegNet's label files."""

ROAD_COLORS: tuple[Color, ...] = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
"""SegNet's palette for them (SegNet-Tutorial, Scripts/test_segmentation_camvid.py)."""


class DatasetError(ValueError):
    """A dataset that is unknown, missing or damaged: one line that says what, where and what to do."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A dataset's description.

    `size` is (height, width) of its images, `splits` the number of images of each split, `colors` one
    (red, green, blue) per class. `synthetic` is true where a program draws the pictures, `own` where the
    dataset is the user's: no accuracy on either stands beside a figure of the paper. Images of own data may
    be of any sizes: `size` is then what they are read at. `by_hand` says how to get it where no download is
    offered.
    """

    name: str
    title: str
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    size: Size
    splits: Mapping[str, int] = field(hash=False)
    source: str
    synthetic: bool
    by_hand: str = ""
    own: bool = False

    @property
    def num_classes(self) -> int:
        """Number of classes, void not counted."""
        return len(self.classes)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An image file and its label file."""

    stem: str
    image: Path
    label: Path


class Dataset(ABC):
    """One split of a dataset: a sequence of (image, label) pairs.

    `dataset[i]` is a uint8 image (H, W, 3) in RGB and its uint8 label (H, W), where a pixel is a class
    index or VOID. All have the size `info.size`, unless `sizes` names the (height, width) of each.
    `thread_safe`: whether several threads may read items at once.
    """

    info: DatasetInfo
    split: str
    image_ids: tuple[str, ...]
    sizes: tuple[Size, ...] | None = None
    thread_safe: bool = False

    def __len__(self) -> int:
        return len(self.image_ids)

    def __iter__(self) -> Iterator[tuple[Pixels, Pixels]]:
        for index in range(len(self)):
            yield self[index]

    @abstractmethod
    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W) of one index; IndexError past the end, DatasetError if damaged."""

    @property
    @abstractmethod
    def variant(self) -> str:
        """Which edition of the dataset this is, such as "camvid" or "camvid-jpeg93"."""

    @property
    @abstractmethod
    def content_hash(self) -> str:
        """SHA-256 (hex) of the content of all splits of the dataset."""


def one_line(text: object) -> str:
    """A message squeezed into one line, so that an error stays one line whatever a library put into it."""
    try:
        return " ".join(str(text).split())
    except Exception:  # of a stranger's class of errors
        return type(text).__name__


def with_order(content: str, train: Sequence[str]) -> str:
    """SHA-256 (hex) of a dataset's content hash and of the order of its training images.

    Two lists that hold the same images in another order make other batches, and so other weights.
    """
    return hashlib.sha256("\n".join([content, *train]).encode("utf-8", "surrogateescape")).hexdigest()


def require_split(name: str, split: str, splits: Mapping[str, int] | tuple[str, ...] = SPLITS) -> None:
    """Raise DatasetError unless `split` is one of the dataset's splits."""
    if split not in splits:
        raise DatasetError(f"dataset {name} has no split {split!r}: use {', '.join(splits)}")


def data_folder(root: Path | str | None, name: str) -> Path:
    """The data root as a path; DatasetError where a dataset that lies in files was given none."""
    if root is None:
        raise DatasetError(f"dataset {name} lies in files: name the folder that holds them (--data-root FOLDER)")
    return Path(root).expanduser()
