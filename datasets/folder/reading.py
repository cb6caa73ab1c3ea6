"""Reads a folder of own data: its pairs and what their files hold, what that makes of it, and what is wrong."""

import hashlib
import json
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.base import SPLITS, VOID, Color, DatasetError, DatasetInfo, Pair, Progress, Size
from datasets.folder.index import FileFacts, read_files
from datasets.folder.labels import WRONG, class_table
from datasets.folder.layout import find_layout
from datasets.folder.pairs import (
    Findings,
    Pool,
    draw_missing,
    in_order,
    in_two_splits,
    note_unlisted,
    read_pool,
    whole,
    with_ids,
    write_lists,
)
from datasets.folder.settings import Settings, read_settings
from datasets.folder.values import CITYSCAPES, NINETEEN, count_of, open_question, values_of

PREFIX, NAMED = "folder:", "folder-"
LARGEST: Size = (360, 480)
"""(height, width) that images are reduced to, unless a run names another size."""
_LEAST = 32  # pixels of an edge, which all networks of the suite take
_REVISION = 2  # of the content hash: raised when the same files would be read as other classes


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that was read: pairs by split, facts of the files, and what is wrong, by kind."""

    path: Path
    settings: Settings
    layout: str
    pairs: Mapping[str, tuple[Pair, ...]]
    facts: Mapping[Path, FileFacts]
    problems: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    info: DatasetInfo

    @cached_property
    def table(self) -> NDArray[np.int16]:
        """Value in the files -> class, VOID, or WRONG, (65536,)."""
        return class_table(self.settings, self.info.num_classes)

    def pixels(self, pair: Pair) -> list[int]:
        """Pixels of each class of a label, void last."""
        facts, counts = self.facts[pair.label], [0] * (self.info.num_classes + 1)
        for value, count in facts.values.items():
            to = value if facts.classes else int(self.table[value])
            if to != WRONG:
                counts[-1 if to == VOID else to] += count
        return counts

    def content_hash(self) -> str:
        """SHA-256 over the files of all splits in their order, and over all that decides which class a pixel is."""
        of_reading = json.dumps([_REVISION, self.info.classes, self.settings.reading])
        digest = hashlib.sha256(of_reading.encode())
        for split in SPLITS:
            for pair in self.pairs[split]:
                parts = (split, pair.stem, self.facts[pair.image].sha256, self.facts[pair.label].sha256)
                digest.update("\0".join(parts).encode("utf-8", "surrogateescape") + b"\n")
        return digest.hexdigest()

    def require_sound(self) -> None:
        """DatasetError with the first problem if there is any."""
        lines = [line for kind in self.problems.values() for line in kind]
        if lines:
            more = f" (and {len(lines) - 1} more: `python -m harness data check '{PREFIX}{self.path}'`)"
            raise DatasetError(lines[0] + (more if lines[1:] else ""))


def read_folder(place: Path, progress: Progress | None = None, *, whole_images: bool = False) -> Folder:
    """Read a folder, sound or not; DatasetError where there are no images with labels, or no sense in its settings.

    Args:
        place: the folder.
        progress: told how many pairs were read.
        whole_images: decode images to their end too.
    """
    settings = read_settings(place)
    found = Findings()
    layout, pairs, drawn = _pairs(place, settings, found)
    everything = [pair for split in SPLITS for pair in pairs.get(split, [])]
    reading = read_files(place, settings, everything, progress, whole=whole_images)
    for kind, lines in reading.errors.items():
        found.add(kind, *lines)
    facts = reading.facts
    sound = {
        split: tuple(pair for pair in pairs.get(split, ()) if pair.image in facts and pair.label in facts)
        for split in SPLITS
    }
    described = _describe(place, settings, sound, facts, found)
    folder = Folder(
        path=place,
        settings=settings,
        layout=layout,
        pairs=sound,
        facts=facts,
        problems={},
        notes=(),
        info=described,
    )
    _judge(folder, found)
    if drawn and not any(found.problems.values()):
        found.notes.append(write_lists(place, {split: pairs[split] for split in drawn}))
    problems = {kind: tuple(lines) for kind, lines in found.problems.items() if lines}
    return replace(folder, problems=problems, notes=tuple(found.notes))


def _pairs(place: Path, settings: Settings, found: Findings) -> tuple[str, dict[str, list[Pair]], tuple[str, ...]]:
    """The layout's title, the pairs of each split, and which splits were drawn."""
    layout = find_layout(place, settings)
    found.notes += layout.notes
    pools: dict[tuple[Path, Path], Pool] = {}
    pairs: dict[str, list[Pair]] = {}
    for split, at in layout.places.items():
        key = (at.images, at.labels)
        if key not in pools:
            pools[key] = read_pool(at.images, at.labels, found)
        pairs[split] = in_order(pools[key], at.listing, found, next(iter(pools.values())))
    listed = {pair.image for chosen in pairs.values() for pair in chosen}
    for pool in pools.values():
        note_unlisted(pool, listed, found)
    everything = []
    if layout.whole is not None:
        everything = whole(read_pool(layout.whole.images, layout.whole.labels, found), found)
    drawn = draw_missing(place, everything, pairs, found)
    empty = [split for split in SPLITS if not pairs.get(split)]
    if empty and not any(found.problems.values()):
        found.add("splits", f"{place}: no images of {' and '.join(empty)}: add them, or a list {empty[0]}.txt")
    return layout.title, {split: with_ids(chosen) for split, chosen in pairs.items()}, drawn


def _describe(
    place: Path,
    settings: Settings,
    pairs: Mapping[str, tuple[Pair, ...]],
    facts: Mapping[Path, FileFacts],
    found: Findings,
) -> DatasetInfo:
    values = values_of([pair.label for chosen in pairs.values() for pair in chosen], facts)
    classes = settings.classes
    if question := open_question(values, settings):
        found.add("labels", question)
    if not classes:
        count = 2 if question else count_of(values, settings, found)
        classes = tuple(f"class {number}" for number in range(count))
    sizes = [facts[pair.label].size for pair in pairs["train"]]
    height, width = (int(statistics.median(size[axis] for size in sizes or [LARGEST])) for axis in (0, 1))
    return DatasetInfo(
        name=name_of(place, settings),
        title=settings.title or settings.name or place.name,
        classes=classes,
        colors=settings.colors or palette(len(classes)),
        size=fitted(height, width),
        splits={split: len(pairs[split]) for split in SPLITS},
        source="own data",
        synthetic=False,
        own=True,
    )


def name_of(place: Path, settings: Settings) -> str:
    """The name under which runs know a folder: dataset.toml's, else the folder's own."""
    name = settings.name or place.name
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
    if not slug or any(sign.isalnum() and not sign.isascii() for sign in name):  # told apart by what is lost
        slug = f"{slug or 'data'}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"
    return f"{NAMED}{slug}"


def fitted(height: int, width: int) -> Size:
    """The size that images are read at: theirs, or the largest one of their shape that is allowed."""
    share = min(1.0, LARGEST[0] / height, LARGEST[1] / width)
    return max(_LEAST, round(height * share)), max(_LEAST, round(width * share))


def palette(count: int) -> tuple[Color, ...]:
    """So many colors, all different and none black: PASCAL VOC's from its second on."""
    colors = []
    for number in range(1, count + 1):
        color = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                color[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
        colors.append((color[0], color[1], color[2]))
    return tuple(colors)


def sizes_differ(pair: Pair, image: Size, label: Size) -> str:
    return (
        f"{pair.label}: {label[0]} x {label[1]} pixels where its image {pair.image.name} has {image[0]} x {image[1]} "
        "(height x width): save both at one size, labels without interpolation"
    )


def _judge(folder: Folder, found: Findings) -> None:
    """What the files say once all are read."""
    settings, facts, table = folder.settings, folder.facts, folder.table
    first = 1 if settings.zero == "ignore" else 0
    allowed = f"{first} to {folder.info.num_classes - 1 + first}"
    named_wrong = bool(found.problems["labels"])
    colored = next((pair.label for pair in _all(folder) if facts[pair.label].classes), None)
    if colored is not None and (said := _of_indices(settings)):
        found.add(
            "labels",
            f"{settings.origin}: {said} is of labels that hold numbers, but {colored} is in colors: remove it, and "
            "call a color that is no class `void` in the table of colors",
        )
    for pair in _all(folder):
        image, label = facts[pair.image], facts[pair.label]
        if image.size != label.size:
            found.add("sizes", sizes_differ(pair, image.size, label.size))
        wrong = [value for value in label.values if not label.classes and table[value] == WRONG]
        if wrong and not named_wrong:
            shown = ", ".join(f"{value} ({label.values[value]:,} pixels)" for value in wrong[:4])
            found.add(
                "labels",
                f"{pair.label}: label value {shown}, but classes are {allowed}: name it in classes, "
                f"or write mapping = {{ {wrong[0]} = … }} or ignore = [{wrong[0]}] in {settings.origin}"
                + (f"; Cityscapes' own 19 classes are {NINETEEN}" if pair.label.stem.endswith(CITYSCAPES) else ""),
            )
    in_two_splits(folder.pairs, {path: one.sha256 for path, one in facts.items()}, found)
    if not any(found.problems.values()):
        _note_classes(folder, found)


def _all(folder: Folder) -> list[Pair]:
    return [pair for split in SPLITS for pair in folder.pairs[split]]


def _of_indices(settings: Settings) -> str:
    """The first key that has no meaning for labels in colors."""
    said = {"zero": settings.zero == "ignore", "mapping": settings.mapping, "ignore": settings.ignore - {VOID}}
    return next((key for key, value in said.items() if value), "")


def _note_classes(folder: Folder, found: Findings) -> None:
    """Classes that a split lacks are worth a note; a split without any labeled pixel can't be used."""
    for split in SPLITS:
        totals = [sum(column) for column in zip(*(folder.pixels(pair) for pair in folder.pairs[split]), strict=True)]
        if not any(totals[:-1]):
            found.add(
                "labels",
                f"{folder.path}: {split}: no pixel of its {len(folder.pairs[split])} images has a class: label them, "
                "or remove the split's folder or list, and it is drawn from train",
            )
            continue
        absent = [name for name, count in zip(folder.info.classes, totals, strict=False) if not count]
        if absent:
            names = ", ".join(absent[:9]) + (" and more" if absent[9:] else "")
            found.notes.append(f"{split}: {len(absent)} of {folder.info.num_classes} classes never occur: {names}")
    settings, last = folder.settings, folder.info.num_classes - 1
    if not (settings.classes or settings.mapping or settings.ignore_said or settings.zero == "ignore"):
        found.notes.append(
            f"no classes are named, so that every value is one but 255: if 0 or the highest ({last}) is none, write "
            f'`zero = "ignore"` or `ignore = [{last}, 255]` in {settings.origin}'
        )
