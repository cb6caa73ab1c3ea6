"""The dataset "sunrgbd": SUN RGB-D with 37 classes, as A. Handa extracted it, read at 360 x 480.

A folder `sunrgbd37` with images in `train/` and `test/` (`img-NNNNNN.jpg`, numbered from 1 in each) and
labels in `labels/` (`img-NNNNNN.png`, 8-bit): those of the 5050 test images come first, those of the 5285
training images follow from 5051 on. Label 0 is void, 1 to 37 are the classes. The release has no validation
split: `val.txt` beside this file holds some training images out. Pictures are of several sizes; the
paper's networks were fed and scored at 360 x 480, so images are reduced by area averaging and labels at the
cells' centers.

`datasets/sunrgbd/official.py` makes such a folder of the official release.

Source: Song, Lichtenberg, Xiao, "SUN RGB-D: A RGB-D scene understanding benchmark suite", CVPR 2015;
numbering, names and void from github.com/ankurhanda/sunrgbd-meta-data (README.md; issues 1, 6 and 9).
"""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from datasets.base import (
    SPLITS,
    Color,
    DatasetError,
    DatasetInfo,
    Pair,
    Pixels,
    Size,
)
from datasets.cache import nearest_exact_indices, reduce_area
from datasets.files import Survey, find_folder, sound
from datasets.numbered import Naming, hash_splits
from datasets.pictures import read_image, read_label

FOLDER = "sunrgbd37"
TEST_IMAGES, TRAIN_IMAGES = 5050, 5285
NAMING = Naming(title="SUN RGB-D", prefix="img-", digits=6)
VAL_LIST = "val.txt"
VAL_LIST_SHA256 = "ca34cd46af8da89bc4897ab0f957a11e99d8d2ef1b29882593094d0a7079d5a0"

CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
    "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor_mat", "clothes",
    "ceiling", "books", "fridge", "tv", "paper", "towel", "shower_curtain", "box", "whiteboard", "person",
    "night_stand", "toilet", "sink", "lamp", "bathtub", "bag",
)  # fmt: skip
"""The 37 classes in the order of their labels (1 is the wall); names as in the SegNet paper's Table 5."""

COLORS: tuple[Color, ...] = (
    (174, 199, 232), (152, 223, 138), (31, 119, 180), (255, 187, 120), (188, 189, 34), (140, 86, 75),
    (255, 152, 150), (214, 39, 40), (197, 176, 213), (148, 103, 189), (196, 156, 148), (23, 190, 207),
    (178, 76, 76), (247, 182, 210), (66, 188, 102), (219, 219, 141), (140, 57, 197), (202, 185, 52),
    (51, 176, 203), (200, 54, 131), (92, 193, 61), (78, 71, 183), (172, 114, 82), (255, 127, 14),
    (91, 163, 138), (153, 98, 156), (140, 153, 101), (158, 218, 229), (100, 125, 154), (178, 127, 135),
    (120, 185, 128), (146, 111, 194), (44, 160, 44), (112, 128, 144), (96, 207, 209), (227, 119, 194),
    (213, 92, 176),
)  # fmt: skip
"""A color for each; the release has none."""

INFO = DatasetInfo(
    name="sunrgbd",
    title="SUN RGB-D",
    classes=CLASSES,
    colors=COLORS,
    size=(360, 480),
    splits={"train": 5025, "val": 260, "test": TEST_IMAGES},
    source="rgbd.cs.princeton.edu (Song et al. 2015; 37 classes, read at 360 x 480; 260 training images held "
    "out as val)",
    synthetic=False,
    by_hand="get http://rgbd.cs.princeton.edu/data/SUNRGBD.zip and "
    "http://rgbd.cs.princeton.edu/data/SUNRGBDtoolbox.zip (7 GB), unpack both into one folder and run "
    "`python -m harness data prepare sunrgbd --data-root THAT_FOLDER`",
)

UNKNOWN_VARIANT = "sunrgbd-partial"
"""Of a folder that lacks some of the images. The hash of the real files is not known to this program: a whole
folder is known by its counts alone."""


def locate(root: Path | str | None) -> Path:
    """The folder `sunrgbd37` under the data root, or the root itself if it is that; else DatasetError."""

    def fits(folder: Path) -> bool:
        return (folder / "labels").is_dir() and any((folder / name).is_dir() for name in ("train", "test"))

    how = (
        "put the extracted images and labels at {place} (train, test, labels), or unpack the official release "
        "into {base} and run `python -m harness data prepare sunrgbd --data-root {base}`"
    )
    return find_folder(root, INFO, FOLDER, fits, how)


def full_size(first: Pair) -> Size:
    """(height, width) that all images are read at."""
    del first
    return INFO.size


@cache
def held_out() -> frozenset[int]:
    """Numbers of the training images that are val; DatasetError if the list is not the one that was fixed."""
    data = (files(__name__) / VAL_LIST).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != VAL_LIST_SHA256:
        raise DatasetError(
            f"datasets/{VAL_LIST}: content {digest[:16]} is not that of the fixed val split "
            f"({VAL_LIST_SHA256[:16]}): restore the file"
        )
    return frozenset(int(line) for line in data.split())


def label_number(split: str, number: int) -> int:
    """Number of the label of an image: test images come first, training images (val too) after them."""
    return number if split == "test" else TEST_IMAGES + number


def read_pair(pair: Pair, size: Size) -> tuple[Pixels, Pixels]:
    """Image (h, w, 3) and label (h, w) reduced to `size`, classes from 0 and void as VOID.

    DatasetError naming the file if it is damaged, the two are of different sizes, or smaller than `size`.
    """
    image = read_image(pair.image)
    label = read_label(pair.label, INFO.num_classes, void=0, first=1)
    if image.shape[:2] != label.shape:
        raise DatasetError(
            f"{pair.label}: {_extent(label.shape)} where its image {pair.image.parent.name}/"
            f"{pair.image.name} has {_extent(image.shape)} (height x width): labels 1 to {TEST_IMAGES} are "
            f"of test/, those from {TEST_IMAGES + 1} on of train/; are the splits swapped?"
        )
    if image.shape[0] < size[0] or image.shape[1] < size[1]:
        raise DatasetError(
            f"{pair.image}: {_extent(image.shape)} is smaller than {_extent(size)}: images are only reduced"
        )
    rows, columns = (nearest_exact_indices(n, k) for n, k in zip(label.shape, size, strict=True))
    return reduce_area(image, size), label[rows[:, None], columns]


def _extent(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]}"


def survey(folder: Path, split: str) -> Survey:
    """The pairs of a split by number, and all that is wrong with it."""
    problems: list[str] = []
    most = TEST_IMAGES if split == "test" else TRAIN_IMAGES
    images = NAMING.list_files(folder / ("test" if split == "test" else "train"), (".jpg", ".jpeg"), most, problems)
    labels = NAMING.list_files(folder / "labels", (".png",), TEST_IMAGES + TRAIN_IMAGES, problems)
    own = {n: path for n, path in images.items() if split == "test" or (n in held_out()) == (split == "val")}
    wanted = {label_number(split, n) for n in own}
    pairs = []
    for number, image in sorted(own.items()):
        labeled = label_number(split, number)
        label = labels.get(labeled)
        if label is None:
            problems.append(f"{image}: image without label (labels/img-{labeled:06d}.png)")
        else:
            pairs.append(Pair(stem=image.stem, image=image, label=label))
    for number, path in sorted(labels.items()):
        if _split_of(number) == split and number not in wanted:
            problems.append(f"{path}: label without image (of {'test' if split == 'test' else 'train'}/)")
    if not own and images:
        problems.append(f"{folder}: holds no image of {split}")
    return tuple(pairs), tuple(problems)


def _split_of(number: int) -> str:
    """The split that a label belongs to."""
    if number <= TEST_IMAGES:
        return "test"
    return "val" if number - TEST_IMAGES in held_out() else "train"


def hash_folder(folder: Path) -> tuple[str, str]:
    """(variant, SHA-256) of a folder; DatasetError where images and labels do not fit together."""
    splits = {split: sound(*survey(folder, split), INFO.name) for split in SPLITS}
    counts = {split: len(pairs) for split, pairs in splits.items()}
    return (INFO.name if counts == dict(INFO.splits) else UNKNOWN_VARIANT), hash_splits(splits)
