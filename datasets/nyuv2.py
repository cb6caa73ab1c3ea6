"""The dataset "nyuv2": NYU Depth v2 with SUN RGB-D's 37 classes at 360 x 480; it is a part of SUN RGB-D.

A folder `NYUv2` with `train/` and `test/`, each with images in `images/` (`NYUnnnn.jpg`) and labels in
`labels37/` (`NYUnnnn.png`, 8-bit); nnnn is the number in the official release, 1 to 1449. Label 0 is void,
1 to 37 are the classes. `nyuv2_test.txt` beside this file is the official test split; all other images are
training images, some of which are held out as val (`split_numbers`).

`datasets/nyuv2_official.py` makes such a folder of the official release.

Source: Silberman, Hoiem, Kohli, Fergus, "Indoor segmentation and support inference from RGBD images", ECCV
2012. NYU's 40 classes (Gupta, Arbelaez, Malik, CVPR 2013) begin with SUN RGB-D's 37 in the same order.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from datasets.base import (
    SPLITS,
    DatasetError,
    DatasetInfo,
    Pair,
    Pixels,
    Size,
)
from datasets.files import Survey, find_folder, sound
from datasets.numbered import Naming, hash_splits
from datasets.pictures import read_image, read_label
from datasets.sunrgbd import CLASSES, COLORS

FOLDER = "NYUv2"
IMAGES = 1449
TEST_LIST = "nyuv2_test.txt"
NAMING = Naming(title="NYU Depth v2", prefix="NYU", digits=4)

# Of the runs of training images, val is every tenth from the third on: 13 runs with 79 images.
_VAL_FIRST, _VAL_STEP = 2, 10

INFO = DatasetInfo(
    name="nyuv2",
    title="NYU Depth v2",
    classes=CLASSES,
    colors=COLORS,
    size=(360, 480),
    splits={"train": 716, "val": 79, "test": 654},
    source="cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html (Silberman et al. 2012; 37 classes, 360 x 480; "
    "79 of the 795 training images held out as val)",
    synthetic=False,
    by_hand="get http://horatio.cs.nyu.edu/mit/silberman/nyu_depth_v2/nyu_depth_v2_labeled.mat (2.8 GB) and "
    "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat into one folder and run "
    "`python -m harness data prepare nyuv2 --data-root THAT_FOLDER`",
)

UNKNOWN_VARIANT = "nyuv2-partial"
"""Of a folder that lacks some of the images. Each JPEG encoder gives other files: a whole folder is known by
its counts alone."""


def locate(root: Path | str | None) -> Path:
    """The folder `NYUv2` under the data root, or the root itself if it is that; else DatasetError."""

    def fits(folder: Path) -> bool:
        return any((folder / name / "labels37").is_dir() for name in ("train", "test"))

    how = (
        "put the folder with train and test at {place}, or put the official release into {base} "
        "(`python -m harness data fetch nyuv2` names the files) and run "
        "`python -m harness data prepare nyuv2 --data-root {base}`"
    )
    return find_folder(root, INFO, FOLDER, fits, how)


def full_size(first: Pair) -> Size:
    """(height, width) that all images are read at."""
    del first
    return INFO.size


@cache
def split_numbers() -> Mapping[str, tuple[int, ...]]:
    """Numbers of the images of train, val and test, ascending.

    Test is the official one. The official split puts whole rooms in train or in test, and the images of a
    room have neighboring numbers; so an unbroken run of training numbers is made of whole rooms. Val is whole
    such runs, spread evenly: no room is both in train and in val.
    """
    lines = (files("datasets") / TEST_LIST).read_text("utf-8").splitlines()
    ranges = [tuple(map(int, line.split())) for line in lines]
    test = [number for first, last in ranges for number in range(first, last + 1)]
    held = set(test)
    runs: list[list[int]] = []
    for number in range(1, IMAGES + 1):
        if number in held:
            continue
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    val = [number for run in runs[_VAL_FIRST::_VAL_STEP] for number in run]
    train = sorted({number for run in runs for number in run} - set(val))
    return MappingProxyType({"train": tuple(train), "val": tuple(val), "test": tuple(test)})


def folder_of(split: str) -> str:
    """Name of the folder that a split's files lie in: val's are among those of train."""
    return "test" if split == "test" else "train"


def read_pair(pair: Pair, size: Size) -> tuple[Pixels, Pixels]:
    """Image (h, w, 3) and label (h, w) of one pair, classes from 0 and void as VOID.

    DatasetError naming the file if it is damaged, not of this (height, width), or if a label is none of 0 to
    37.
    """
    image = read_image(pair.image)
    label = read_label(pair.label, INFO.num_classes, void=0, first=1)
    for path, found in ((pair.image, image.shape[:2]), (pair.label, label.shape)):
        if found != size:
            raise DatasetError(
                f"{path}: {found[0]} x {found[1]} pixels, not {size[0]} x {size[1]} (height x width): "
                "make the folder by `python -m harness data prepare nyuv2`"
            )
    return image, label


def survey(folder: Path, split: str) -> Survey:
    """The pairs of a split in its order, and all that is wrong with it."""
    problems: list[str] = []
    name = folder_of(split)
    images = NAMING.list_files(folder / name / "images", (".jpg", ".jpeg"), IMAGES, problems)
    labels = NAMING.list_files(folder / name / "labels37", (".png",), IMAGES, problems)
    foreign = {n for other, numbers in split_numbers().items() if folder_of(other) != name for n in numbers}
    for number, path in [*images.items(), *labels.items()]:
        if number in foreign:
            problems.append(f"{path}: {NAMING.stem(number)} is not of {name}: are train and test swapped?")
    pairs = []
    own = split_numbers()[split]
    for number in own:
        image, label = images.get(number), labels.get(number)
        if image is not None and label is not None:
            pairs.append(Pair(stem=image.stem, image=image, label=label))
        elif image is not None:
            problems.append(f"{image}: image without label ({name}/labels37/{NAMING.stem(number)}.png)")
        elif label is not None:
            problems.append(f"{label}: label without image ({name}/images/{NAMING.stem(number)}.jpg)")
    if images and labels and not {*images, *labels} & set(own):
        problems.append(f"{folder}: holds no image of {split}")
    return tuple(pairs), tuple(problems)


def hash_folder(folder: Path) -> tuple[str, str]:
    """(variant, SHA-256) of a folder; DatasetError where images and labels do not fit together."""
    splits = {split: sound(*survey(folder, split), INFO.name) for split in SPLITS}
    counts = {split: len(pairs) for split, pairs in splits.items()}
    return (INFO.name if counts == dict(INFO.splits) else UNKNOWN_VARIANT), hash_splits(splits)
