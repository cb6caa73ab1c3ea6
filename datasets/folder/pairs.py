"""Pairs image and label files by name, puts them into splits, and draws the splits that are missing."""

import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from datasets.base import LONGEST_ID, SPLITS, Pair
from datasets.files import is_plain, read_list, same_text
from datasets.release import write_atomically

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
JPEGS = (".jpg", ".jpeg")

# What the names of images and of labels may have besides what they share.
_IMAGE_ENDS = ("_leftImg8bit", "_image", "_img", "_rgb")
LABEL_ENDS = (
    "_gtFine_labelTrainIds", "_gtFine_labelIds", "_labelTrainIds", "_labelIds", "_mask", "_masks", "_label", "_labels",
    "_seg", "_segmentation", "_gt", "_annotation", "_L", "_P", "-mask", "-label",
)  # fmt: skip
_OTHER_ENDS = ("_color", "_instanceIds", "_instanceTrainIds")  # Cityscapes' further files

DRAWN = "splits"
"""The folder in which the lists of splits that are drawn here are written down."""
SHARE, SEED = 0.15, 0  # of val and of test, each
_MOST_SIGNS, _KEPT = 150, 120  # of an id, and what is kept of a longer one


@dataclass(kw_only=True)
class Findings:
    """What was noticed: problems by kind, which must be mended, and notes."""

    problems: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, *lines: str) -> None:
        """Add problems of a kind."""
        self.problems[kind] += lines


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The files of a folder of images and one of labels, by path without suffix; `match`: image -> its label."""

    folder: Path
    images: Mapping[str, Path]
    labels: Mapping[str, Path]
    match: Mapping[str, str]

    def pair(self, image: str, label: str) -> Pair:
        """The pair of an image and a label."""
        return Pair(stem=image, image=self.images[image], label=self.labels[label])


def read_pool(images: Path, labels: Path, found: Findings) -> Pool:
    """All files of both folders, matched by name."""
    image_files = _files(images, IMAGE_SUFFIXES, found)
    label_files = _files(labels, (*LABEL_SUFFIXES, *JPEGS), found)
    if images == labels:
        label_files = {key: path for key, path in label_files.items() if key.endswith(LABEL_ENDS)}
        image_files = {key: path for key, path in image_files.items() if key not in label_files}
    label_files = _chosen(label_files)
    if absent := next((folder for folder in (images, labels) if not folder.is_dir()), None):
        found.add("folders", f"{absent}: no such folder: correct its name in dataset.toml, or make it")
    elif not image_files:
        found.add("folders", f"{images}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    elif not label_files:
        found.add("folders", _no_labels(labels))
    return Pool(folder=images, images=image_files, labels=label_files, match=_matched(image_files, label_files))


def _files(folder: Path, suffixes: tuple[str, ...], found: Findings) -> dict[str, Path]:
    """Picture files below a folder by their path in it without suffix, sorted."""
    paths: dict[str, Path] = {}
    seen: dict[str, Path] = {}
    for base, inner, names in os.walk(folder, followlinks=True):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            path = Path(base, name)
            if name.startswith(".") or path.suffix.lower() not in suffixes:
                continue
            if not is_plain(name):
                found.add("names", f"{base}: the name {name!r} holds signs that can't be shown: rename the file")
                continue
            key = path.relative_to(folder).with_name(path.stem).as_posix()
            other = seen.setdefault(same_text(key), path)
            if other is path:
                paths[key] = path
            else:
                why = "the same stem" if other.stem == path.stem else "the same text in another Unicode form"
                found.add("names", f"{path}: a second file beside {other.name}, {why}: rename or remove one")
    return paths


def _chosen(labels: Mapping[str, Path]) -> dict[str, Path]:
    """Without Cityscapes' other pictures; of its two kinds of labels the one that numbers classes from 0."""
    kept = {key: path for key, path in labels.items() if not key.endswith(_OTHER_ENDS)}
    if any(key.endswith("_labelTrainIds") for key in kept):
        kept = {key: path for key, path in kept.items() if not key.endswith("_labelIds")}
    return kept


def _matched(images: Mapping[str, Path], labels: Mapping[str, Path]) -> dict[str, str]:
    """Image -> label: those of one name first, then those of one name but for the ends."""
    free = dict.fromkeys(labels)
    match: dict[str, str] = {}
    for strip_image, strip_label in (((), ()), ((), LABEL_ENDS), (_IMAGE_ENDS, LABEL_ENDS), (_IMAGE_ENDS, ())):
        by_name = {_bare(key, strip_label): key for key in free}
        for key in images:
            label = by_name.get(_bare(key, strip_image)) if key not in match else None
            if label is not None and label in free:
                match[key] = label
                del free[label]
    return match


def _bare(key: str, ends: Sequence[str]) -> str:
    """A key without the end that only images, or only labels, have."""
    end = next((end for end in sorted(ends, key=len, reverse=True) if key.endswith(end) and len(key) > len(end)), "")
    return same_text(key.removesuffix(end))


def _no_labels(folder: Path) -> str:
    """What to do where a folder of labels holds no pictures."""
    polygons = next((path for path in folder.rglob("*") if path.suffix.lower() in (".txt", ".json", ".xml")), None)
    if polygons is None:
        return f"{folder}: holds no label ({', '.join(LABEL_SUFFIXES)})"
    return (
        f"{polygons}: labels as polygons are not read: make pictures of them, for example by datumaro "
        "(docs/own-data.md has the command)"
    )


# -- splits -------------------------------------------------------------------------------------------------


def in_order(pool: Pool, listing: Path | None, found: Findings, train: Pool) -> list[Pair]:
    """The pairs of a split: those of its list in its order, or all by name, each file without the other a problem.

    A list that names files of `train` alone was drawn from there before the split had a folder of its own.
    """
    if listing is None:
        return whole(pool, found)
    pairs, wrong = [], list[str]()
    lines = read_list(listing, pool.images, pool.labels, wrong)
    if wrong and not lines and train is not pool and read_list(listing, train.images, train.labels, []):
        what = f"{listing}: names files of {train.folder}, but the split has a folder of its own, {pool.folder}"
        found.add("lists", f"{what}: remove the list, or that folder")
        return whole(pool, found)
    found.add("lists", *wrong)
    for line in lines:
        label = line.label if line.label in pool.labels else pool.match.get(line.image)
        if label is None:
            what = f"{pool.images[line.image]}: image without label, though {listing} lists it"
            found.add("pairs", f"{what}: add the label, or remove the line")
        else:
            pairs.append(pool.pair(line.image, label))
    if not pairs:
        found.add("lists", f"{listing}: lists no image that is there: write the images' names, one a line")
    return pairs


def whole(pool: Pool, found: Findings) -> list[Pair]:
    """All pairs, by name; every file without the other is a problem."""
    if pool.images and pool.labels and not pool.match:
        image, label = (next(iter(files.values())) for files in (pool.images, pool.labels))
        found.add(
            "pairs",
            f"{pool.folder}: no image has the name of a label, such as {image.name} and {label.name}: rename them, or "
            f"write lists of pairs, train.txt, val.txt and test.txt, a line `{image.name} {label.name}` for each",
        )
        return []
    if pool.labels:
        alone = [path for key, path in pool.images.items() if key not in pool.match]
        found.add("pairs", *(f"{path}: image without label: add it, or remove the image" for path in alone))
    if pool.images:
        used = set(pool.match.values())
        alone = [path for key, path in pool.labels.items() if key not in used]
        found.add("pairs", *(f"{path}: label without image: add it, or remove the label" for path in alone))
    return [pool.pair(image, label) for image, label in sorted(pool.match.items())]


def draw_missing(
    folder: Path, everything: list[Pair], pairs: dict[str, list[Pair]], found: Findings
) -> tuple[str, ...]:
    """Draw the splits that are missing; gives those that were drawn from or into.

    Without any split all pairs are drawn into three: 70, 15 and 15 %. A single missing one is held out of train.
    """
    missing = [split for split in SPLITS if not pairs.get(split)]
    source = everything if len(missing) == len(SPLITS) else pairs.get("train", [])
    held = [split for split in missing if split != "train"]
    if not held or (source and "train" in missing and len(missing) < len(SPLITS)):
        return ()
    if len(source) < len(held) + 1:
        pairs["train"] = source  # what they hold is looked at all the same
        if source or not any(found.problems.values()):  # without any, it is said elsewhere why
            what = f"{len(source)} images can't be drawn into train, {' and '.join(held)}"
            found.add("splits", f"{folder}: {what}: there must be {len(held) + 1} with labels at least")
        return ()
    count = max(1, round(SHARE * len(source)))
    count = min(count, (len(source) - 1) // len(held))
    order = np.random.default_rng(SEED).permutation(len(source))
    for number, split in enumerate(held):
        pairs[split] = [source[i] for i in sorted(order[number * count : (number + 1) * count])]
    pairs["train"] = [source[i] for i in sorted(order[len(held) * count :])]
    drawn = ", ".join(f"{split} {len(pairs[split]):,}" for split in SPLITS if split in {*held, "train"})
    found.notes.append(f"no list or folder with labels of {' and '.join(held)}: drawn at random (seed {SEED}): {drawn}")
    return (*held, "train")


def write_lists(folder: Path, pairs: Mapping[str, Sequence[Pair]]) -> str:
    """Write the lists of drawn splits all at once, so that later images change none; says where, or why not."""
    target, staging = folder / DRAWN, folder / f".{DRAWN}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        staging.mkdir()
        try:
            for split, chosen in pairs.items():
                lines = [f"{os.path.relpath(one.image, folder)} {os.path.relpath(one.label, folder)}" for one in chosen]
                data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
                write_atomically(staging / f"{split}.txt", data)
            if target.exists():  # with lists of its own: the training list last, which the others are taken out of
                for split in pairs:
                    (staging / f"{split}.txt").replace(target / f"{split}.txt")
            else:
                staging.replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        return f"the drawn lists can't be written to {target} ({error.strerror}): more images would change them"
    return f"the drawn lists are in {target}, to be edited as you like"


def note_unlisted(pool: Pool, listed: set[Path], found: Findings) -> None:
    """Say how many pairs no list names."""
    left = [key for key in pool.match if pool.images[key] not in listed]
    if left:
        found.notes.append(f"{len(left):,} images with labels are in no list, such as {pool.images[left[0]]}")
    alone = [path for key, path in pool.images.items() if key not in pool.match and path not in listed]
    if listed and alone:
        found.notes.append(f"{len(alone):,} images without label are in no list, such as {alone[0]}")


def with_ids(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with names that no two share and that files may bear: the stem, and its folders where need be."""
    names = [pair.stem.rpartition("/")[2] for pair in pairs]
    if len(set(names)) < len(names):
        names = [pair.stem.replace("/", "-") for pair in pairs]
    return [Pair(stem=_id(name), image=pair.image, label=pair.label) for name, pair in zip(names, pairs, strict=True)]


def _id(name: str) -> str:
    """A name that is short enough, in signs and in bytes; a hash stands for what is cut."""
    data = name.encode("utf-8", "surrogateescape")
    end = f"-{sha256(data).hexdigest()[:8]}"
    short = name if len(name) <= _MOST_SIGNS else f"{name[:_KEPT]}{end}"
    if len(short.encode("utf-8", "surrogateescape")) <= LONGEST_ID:
        return short
    return data[:_KEPT].decode("utf-8", "ignore") + end  # without the sign that is cut in two


def in_two_splits(pairs: Mapping[str, Sequence[Pair]], content: Mapping[Path, str], found: Findings) -> None:
    """A problem for each image that stands in two splits by its content; one twice in a split is a note."""
    first: dict[str, tuple[str, Path]] = {}
    twice = 0
    for split, chosen in pairs.items():
        for pair in chosen:
            other_split, other = first.setdefault(content[pair.image], (split, pair.image))
            if other_split != split:
                what = f"{pair.image} (in {split}) is the same picture as {other} (in {other_split})"
                found.add("splits", f"{what}: leave it in one of them")
            elif other != pair.image:
                twice += 1
    if twice:
        found.notes.append(f"{twice:,} images are the same picture as another one of their split")
