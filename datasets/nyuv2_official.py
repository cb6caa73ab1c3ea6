"""Makes the folder `NYUv2` of NYU Depth v2's official release.

The release is two files:

- `nyu_depth_v2_labeled.mat`, MATLAB 7.3, that is HDF5, 2.8 GB: `images` (1449, 3, 640, 480) uint8 and
  `labels` (1449, 640, 480) uint16 as h5py shows them. MATLAB stores columns first, so each is transposed:
  channels, width, height. One image at a time is read.
- `splits.mat`, MATLAB 5: `trainNdxs` and `testNdxs`, numbers from 1.

The pictures have a white frame, since they were undistorted: the region within it is the toolbox's, rows 45
to 471 and columns 41 to 601 counted from 1, both included (get_projection_mask.m). A label is 0 (unlabeled)
or one of 894; `nyuv2_classes.csv` beside this file maps these to 40 classes, of which the first 37 are SUN
RGB-D's and the others become void.

Source: cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html and its toolbox; the 40 classes are those of Gupta,
Arbelaez, Malik, "Perceptual organization and recognition of indoor scenes from RGB-D images", CVPR 2013.
"""

import csv
import io
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datasets.base import DatasetError, Pair, Pixels, Progress, data_folder, one_line
from datasets.cache import nearest_exact_indices
from datasets.nyuv2 import FOLDER, IMAGES, INFO, NAMING, folder_of, read_pair, split_numbers
from datasets.release import Prepared, convert, load_mat, open_hdf5, png, write_atomically

LABELED_FILE, SPLIT_FILE = "nyu_depth_v2_labeled.mat", "splits.mat"
CLASS_LIST = "nyuv2_classes.csv"
RAW_LABELS = 894
HEIGHT, WIDTH = 480, 640
# The region within the white frame: 427 rows, 561 columns.
ROWS, COLUMNS = slice(44, 471), slice(40, 601)
JPEG_QUALITY = 75

_AGAIN = "fetch it again (`python -m harness data fetch nyuv2` names the address)"


def prepare(root: Path | str | None, release: Path | str | None = None, progress: Progress | None = None) -> Prepared:
    """Write `NYUv2` under the data root from the release, which lies there too unless it is named.

    Images become JPEGs and labels 8-bit PNGs, all 360 x 480. A pair that is there and whole is not made
    again, so that the same command goes on where it was broken off. DatasetError for whatever is missing or
    damaged.
    """
    base = data_folder(root, INFO.name)
    source = base if release is None else Path(release)
    for name in (LABELED_FILE, SPLIT_FILE):
        if not (source / name).is_file():
            raise DatasetError(f"no official NYU Depth v2 in {source}: {name} is missing; {INFO.by_hand}")
    target = base / FOLDER
    with open_hdf5(source / LABELED_FILE, _AGAIN) as file:
        images, labels = _arrays(file, source / LABELED_FILE)
        _check_split(source / SPLIT_FILE, len(images))

        def make(index: int) -> bool:
            pair = _place(target, index + 1)
            if _is_whole(pair):
                return False
            _write_pair(pair, *_read(images, labels, index + 1, source / LABELED_FILE))
            return True

        return convert(target, len(images), make, progress)


@cache
def class_table() -> Pixels:
    """Raw label (0 to 894) -> our label, (895,): 1 to 37 are the classes, 0 is void."""
    table = np.zeros(RAW_LABELS + 1, np.uint8)
    text = (files("datasets") / CLASS_LIST).read_text("utf-8")
    for row in csv.DictReader(io.StringIO(text)):
        number = int(row["class40"])
        table[int(row["nyu_label"])] = number if number <= INFO.num_classes else 0
    table.flags.writeable = False
    return table


def _arrays(file: Any, path: Path) -> tuple[Any, Any]:
    """The arrays `images` and `labels` of the open file; DatasetError unless they have the release's form."""
    forms = {"images": ("u", 1, (3, WIDTH, HEIGHT)), "labels": ("u", 2, (WIDTH, HEIGHT))}
    found = []
    for name, (kind, width, shape) in forms.items():
        array = file.get(name)
        if array is None or not hasattr(array, "dtype"):
            raise DatasetError(f"{path}: holds no {name}: {_AGAIN}")
        if array.dtype.kind != kind or array.dtype.itemsize != width or array.shape[1:] != shape:
            raise DatasetError(
                f"{path}: {name} are {array.dtype} {array.shape}, not uint{8 * width} "
                f"({IMAGES}, {', '.join(map(str, shape))}): {_AGAIN}"
            )
        found.append(array)
    images, labels = found
    if len(images) != len(labels) or not 1 <= len(images) <= IMAGES:
        raise DatasetError(
            f"{path}: {len(images)} images and {len(labels)} labels where the release has {IMAGES}: {_AGAIN}"
        )
    return images, labels


def _check_split(path: Path, count: int) -> None:
    """DatasetError unless a split file gives each of `count` images to the official split's side."""
    train, test = (_numbers(cells, path) for cells in load_mat(path, ("trainNdxs", "testNdxs"), _AGAIN))
    if sorted([*train, *test]) != list(range(1, count + 1)):
        raise DatasetError(
            f"{path}: trainNdxs and testNdxs do not name each of the {count} images of {LABELED_FILE} once: "
            "the two must be of one release"
        )
    for numbers, name in ((train, "train"), (test, "test")):
        wrong = sorted(number for number in numbers if _side(number) != name)
        if wrong:
            raise DatasetError(
                f"{path}: {name}Ndxs names {wrong[0]}, which the official split has in {_side(wrong[0])}: "
                f"are the two swapped? {_AGAIN}"
            )


def _numbers(cells: Sequence[Any], path: Path) -> list[int]:
    """Whole numbers from what MATLAB stores as doubles."""
    try:
        numbers = [int(cell) for cell in cells]
        exact = all(number == cell for number, cell in zip(numbers, cells, strict=True))
    except (TypeError, ValueError, OverflowError):
        exact = False
    if not exact:
        raise DatasetError(f"{path}: trainNdxs and testNdxs must be whole numbers: {_AGAIN}")
    return numbers


@cache
def _side(number: int) -> str:
    """Name of the folder that an image belongs in."""
    return folder_of("test" if number in split_numbers()["test"] else "train")


def _place(target: Path, number: int) -> Pair:
    """Where image and label of a number go."""
    stem, folder = NAMING.stem(number), target / _side(number)
    return Pair(stem=stem, image=folder / "images" / f"{stem}.jpg", label=folder / "labels37" / f"{stem}.png")


def _is_whole(pair: Pair) -> bool:
    """Whether a pair is there and can be read."""
    if not (pair.image.exists() and pair.label.exists()):
        return False
    try:
        read_pair(pair, INFO.size)
    except DatasetError:
        return False
    return True


def _read(images: Any, labels: Any, number: int, path: Path) -> tuple[Pixels, Pixels]:
    """Image (480, 640, 3) and label (480, 640) of a number, the label with our values."""
    try:
        image, raw = np.asarray(images[number - 1]), np.asarray(labels[number - 1])
    except (OSError, RuntimeError, ValueError) as error:
        raise DatasetError(f"{path}: image {number} cannot be read ({one_line(error)}): {_AGAIN}") from error
    if raw.max() > RAW_LABELS:
        column, row = (int(v) for v in np.argwhere(raw > RAW_LABELS)[0])
        raise DatasetError(
            f"{path}: label {number} has the value {raw[column, row]} at row {row}, column {column}; NYU's "
            f"labels are 1 to {RAW_LABELS} and void is 0: {_AGAIN}"
        )
    return image.transpose(2, 1, 0), class_table()[raw.T]


def _write_pair(pair: Pair, image: Pixels, label: Pixels) -> None:
    """Crop, resize and write a pair of the release's size."""
    size = INFO.size
    cropped = np.ascontiguousarray(image[ROWS, COLUMNS])
    # Pillow's bilinear filter is widened where it reduces, so that nothing aliases.
    small = Image.fromarray(cropped).resize(size[::-1], Image.Resampling.BILINEAR)
    inside = label[ROWS, COLUMNS]
    rows, columns = (nearest_exact_indices(n, k) for n, k in zip(inside.shape, size, strict=True))
    jpeg = io.BytesIO()
    small.save(jpeg, format="JPEG", quality=JPEG_QUALITY)
    label = np.ascontiguousarray(inside[rows[:, None], columns])
    for path, data in ((pair.image, jpeg.getvalue()), (pair.label, png(label))):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
