"""What label values say: how many classes there are, and what speaks against it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.folder.index import FileFacts
from datasets.folder.labels import count_classes
from datasets.folder.pairs import Findings
from datasets.folder.settings import MOST_CLASSES, Settings

CITYSCAPES = "_labelIds"  # its labels of all objects
_NUMBERS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
NINETEEN = (
    'ignore = "unmapped" and mapping = '
    f"{{ {', '.join(f'{value} = {number}' for number, value in enumerate(_NUMBERS))} }}"
)


@dataclass(frozen=True, kw_only=True)
class Values:
    """What labels that hold numbers hold: pixels of each value, and the labels that have it."""

    pixels: Mapping[int, int]
    labels: Mapping[int, Sequence[Path]]
    count: int  # of labels

    def among(self, value: int) -> str:
        """In how many labels a value is, and where first."""
        return f"in {len(self.labels[value]):,} of {self.count:,} labels, first in {self.labels[value][0]}"


def values_of(labels: Sequence[Path], facts: Mapping[Path, FileFacts]) -> Values:
    """What these labels hold; those in colors are left out."""
    pixels, holders = Counter[int](), defaultdict[int, list[Path]](list)
    numbered = [label for label in labels if not facts[label].classes]
    for label in numbered:
        pixels.update(facts[label].values)
        for value in facts[label].values:
            holders[value].append(label)
    return Values(pixels=pixels, labels=holders, count=len(numbered))


def count_of(values: Values, settings: Settings, found: Findings) -> int:
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
    ids = next((path for value in known for path in values.labels[value] if path.stem.endswith(CITYSCAPES)), None)
    if ids is not None and count > len(_NUMBERS):
        what = f"{ids}: Cityscapes' numbers of all objects, of which 19 are classes for training"
        found.add("labels", f"{what}: write in {origin} {NINETEEN}; or name all classes, classes = [...]")
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


def open_question(values: Values, settings: Settings) -> str:
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
                    f"it is, `ignore = [{value}, 255]` or `mapping = {{ {value} = {usual[-1] + 1} }}`"
                )
        return
    mapping = ", ".join(f"{value} = {number}" for number, value in enumerate(known[:MOST_CLASSES]))
    yield (
        f"{origin}: the labels hold {len(known)} values up to {known[-1]}, with gaps: classes count from 0; write "
        f"`mapping = {{ {mapping} }}` there, or name all {known[-1] + 1} classes; values between classes come of "
        f"scaling with interpolation: save such labels anew, by nearest neighbor; {known[-1]} is "
        f"{values.among(known[-1])}"
    )
