"""Reads a folder of own data: its pairs and what their files hold, what that makes of it, and what is wrong."""

import hashlib
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.base import SPLITS, VOID, Color, DatasetError, DatasetInfo, Pair, Progress, Size
from datasets.folder.index import FileFacts, read_files
from datasets.folder.labels import WRONG, class_table, count_classes
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
from datasets.folder.settings import MOST_CLASSES, Settings, read_settings

PREFIX, NAMED = "folder:", "folder-"
LARGEST: Size = (360, 480)
"""(height, width) that images are reduced to, unless a run names another size."""
_LEAST = 32  # pixels of an edge, which all networks of the suite take
_CITYSCAPES = "_labelIds"  # its labels of all objects
_NUMBERS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_NINETEEN = (
    'ignore = "unmapped" and mapping = '
    f"{{ {', '.join(f'{value} = {number}' for number, value in enumerate(_NUMBERS))} }}"
)
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
    values = _values([pair.label for chosen in pairs.values() for pair in chosen], facts)
    classes = settings.classes
    if open_question := _open_question(values, settings):
        found.add("labels", open_question)
    if not classes:
        count = 2 if open_question else _count(values, settings, found)
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


@dataclass(frozen=True, kw_only=True)
class Values:
    """What labels that hold numbers hold: pixels of each value, and the labels that have it."""

    pixels: Mapping[int, int]
    labels: Mapping[int, Sequence[Path]]
    count: int  # of labels

    def among(self, value: int) -> str:
        """In how many labels a value is, and where first."""
        return f"in {len(self.labels[value]):,} of {self.count:,} labels, first in {self.labels[value][0]}"


def _values(labels: Sequence[Path], facts: Mapping[Path, FileFacts]) -> Values:
    pixels, holders = Counter[int](), defaultdict[int, list[Path]](list)
    numbered = [label for label in labels if not facts[label].classes]
    for label in numbered:
        pixels.update(facts[label].values)
        for value in facts[label].values:
            holders[value].append(label)
    return Values(pixels=pixels, labels=holders, count=len(numbered))


def _count(values: Values, settings: Settings, found: Findings) -> int:
    """The number of classes where none is named, and what speaks against it."""
    seen, origin = sorted(values.pixels), settings.origin
    if not seen:  # no label could be read, which is said elsewhere
        return 2
    known = [value for value in seen if value not in settings.ignore and value not in settings.mapping]
    if settings.mapping:
        # what follows on the classes without a gap is one too; a stray value, such as scaled labels have, is none
        count = max(settings.mapping.values()) + 1
        while count in known:
            count += 1
        return max(2, count)
    count = count_classes(settings, values.pixels)
    ids = next((path for value in known for path in values.labels[value] if path.stem.endswith(_CITYSCAPES)), None)
    if ids is not None and count > len(_NUMBERS):
        what = f"{ids}: Cityscapes' numbers of all objects, of which 19 are classes for training"
        found.add("labels", f"{what}: write in {origin} {_NINETEEN}; or name all classes, classes = [...]")
        return max(2, min(count, MOST_CLASSES))
    if known and _has_gaps(known):
        found.add("labels", *_on_gaps(known, values, settings))
        return max(2, min(len(known), MOST_CLASSES))
    if not 2 <= count <= MOST_CLASSES:
        what = f"the labels hold {count} class{'' if count == 1 else 'es'} (values {', '.join(map(str, seen[:9]))})"
        scaled = "; so many come of scaling with interpolation, or of pictures" if count > MOST_CLASSES else ""
        found.add(
            "labels",
            f"{origin}: {what}; there must be 2 to {MOST_CLASSES}: name them there, classes = [...]; {seen[-1]} is "
            f"{values.among(seen[-1])}{scaled}",
        )
    return max(2, min(count, MOST_CLASSES))


def _has_gaps(known: Sequence[int]) -> bool:
    """Whether values are too far apart to be classes counted from 0."""
    return known[-1] >= 8 and len(known) <= (known[-1] + 2) // 2


def _open_question(values: Values, settings: Settings) -> str:
    """What must be said of masks of 0 and 255, or of those with other values between; nothing of other labels."""
    between = sorted(value for value in values.pixels if 0 < value < 255)
    ends = values.pixels.get(0, 0), values.pixels.get(255, 0)
    if settings.ignore_said or 255 not in settings.ignore or not all(ends) or max(values.pixels) > 255:
        return ""
    what = f"{settings.origin}: the labels hold 0 and 255 alone"
    if between:
        if settings.classes or settings.mapping or len(between) < 3 or not _has_gaps(between):
            return ""
        whole = sum(values.pixels.values())
        if sum(ends) < 0.75 * whole or max(values.pixels[value] for value in between) > 0.1 * whole:
            return ""
        what = (
            f"{settings.origin}: the labels hold 0 and 255 and few pixels between; {between[-1]} is "
            f"{values.among(between[-1])}: scaled with interpolation: save them anew by nearest neighbor"
        )
    return (
        f"{what}: write there `mapping = {{ 255 = 1 }}` if 255 is a class, or `ignore = 255` if 255 is none; then name "
        "both classes, classes = [...]"
    )


def _on_gaps(known: Sequence[int], values: Values, settings: Settings) -> Iterator[str]:
    """A line for each label with a value that few labels have, if the others count from 0; else one for them all."""
    origin, few = settings.origin, max(1, values.count // 20)
    usual = [value for value in known if len(values.labels[value]) > few]
    if len(usual) > 1 and not _has_gaps(usual):
        for value in (value for value in known if value not in usual):
            for path in values.labels[value]:
                what = f"{path}: label value {value}, which is {values.among(value)}"
                yield (
                    f"{what}; the usual ones are {usual[0]} to {usual[-1]}: correct the label, or say in {origin} what "
                    f"it is, `ignore = [{value}, 255]` or `mapping = {{ {value} = {len(usual)} }}`"
                )
        return
    mapping = ", ".join(f"{value} = {number}" for number, value in enumerate(known[:MOST_CLASSES]))
    yield (
        f"{origin}: the labels hold {len(known)} values up to {known[-1]}, with gaps: classes count from 0; write "
        f"`mapping = {{ {mapping} }}` there, or name all {known[-1] + 1} classes; values between classes come of "
        f"scaling with interpolation: save such labels anew, by nearest neighbor; {known[-1]} is "
        f"{values.among(known[-1])}"
    )


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
                + (f"; Cityscapes' own 19 classes are {_NINETEEN}" if pair.label.stem.endswith(_CITYSCAPES) else ""),
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
