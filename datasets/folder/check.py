"""Checks a folder of own data in one pass: all that is wrong, what the labels hold, and pictures to look at."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from datasets.base import SPLITS, VOID, DatasetError, DatasetInfo, Pair, Pixels, Progress, one_line
from datasets.folder import Folder, FolderDataset, read_folder

OVERLAYS = 8
STRETCH = 1.05
"""Up to here a size in round numbers of pixels, such as that of halved images, explains another shape."""
_LONGEST = 640  # pixels of an overlay's longer edge
_VALUES_SHOWN = 24


@dataclass(frozen=True, kw_only=True)
class SplitFacts:
    """A split: images, their sizes in words, pixels of each class with void last."""

    split: str
    images: int
    sizes: str
    pixels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FolderReport:
    """What a check found.

    weights: of median frequency balancing, one a class; 0 for a class without pixels.
    stretched: images that reading at the dataset's own size stretches by over `STRETCH`; by how much at most.
    """

    folder: Folder
    origin: str
    content_hash: str
    values: str
    splits: tuple[SplitFacts, ...]
    weights: tuple[float, ...]
    stretched: tuple[int, float]
    overlays: tuple[Path, ...]


def check_folder(place: Path, overlays: Path | None, progress: Progress | None = None) -> FolderReport:
    """Read a folder to its last file, sound or not, and draw eight overlays into a folder of their own.

    DatasetError where there are no images with labels, no sense in the settings, or overlays can't be written.
    """
    folder = read_folder(place, progress, whole_images=True)
    origin = folder.settings.origin
    values: Counter[int] = Counter()
    for split in SPLITS:
        for pair in folder.pairs[split]:
            facts = folder.facts[pair.label]
            values.update({(-1 if facts.classes else value): count for value, count in facts.values.items()})
    return FolderReport(
        folder=folder,
        origin=str(origin) if origin.is_file() else f"none ({origin.name} would hold them)",
        content_hash="" if folder.problems else folder.content_hash(),
        values=_values(values),
        splits=tuple(_split(folder, split) for split in SPLITS),
        weights=_weights(folder),
        stretched=_stretched(folder),
        overlays=_draw(folder, overlays) if overlays is not None and any(folder.pairs.values()) else (),
    )


def _values(values: Counter[int]) -> str:
    shown = [str(value) for value in sorted(values) if value >= 0]
    text = ", ".join(shown[:_VALUES_SHOWN]) + (
        f" and {len(shown) - _VALUES_SHOWN} more" if shown[_VALUES_SHOWN:] else ""
    )
    colors = "classes by their colors" if -1 in values else ""
    return "; ".join(part for part in (text, colors) if part) or "none"


def _split(folder: Folder, split: str) -> SplitFacts:
    pairs = folder.pairs[split]
    sizes = Counter(folder.facts[pair.label].size for pair in pairs)
    common = [f"{height} x {width}" for (height, width), _ in sizes.most_common(3)]
    text = ", ".join(common) + (f" and {len(sizes) - 3:,} more sizes" if len(sizes) > 3 else "")
    return SplitFacts(split=split, images=len(pairs), sizes=text or "no size", pixels=tuple(_pixels(folder, split)))


def _pixels(folder: Folder, split: str) -> list[int]:
    totals = np.zeros(folder.info.num_classes + 1, np.int64)
    for pair in folder.pairs[split]:
        totals += folder.pixels(pair)
    return [int(total) for total in totals]


def _weights(folder: Folder) -> tuple[float, ...]:
    """Median frequency balancing (Eigen and Fergus 2015) of the training images."""
    pixels, areas = np.zeros(folder.info.num_classes), np.zeros(folder.info.num_classes)
    for pair in folder.pairs["train"]:
        counts = np.asarray(folder.pixels(pair)[:-1])
        height, width = folder.facts[pair.label].size
        pixels += counts
        areas += (counts > 0) * height * width
    frequency = np.divide(pixels, areas, out=np.zeros_like(pixels), where=areas > 0)
    present = frequency > 0
    if not present.any():
        return (0.0,) * len(pixels)
    weights = np.divide(np.median(frequency[present]), frequency, out=np.zeros_like(pixels), where=present)
    return tuple(float(weight) for weight in weights)


def _stretched(folder: Folder) -> tuple[int, float]:
    height, width = folder.info.size
    shapes = [folder.facts[pair.label].size for split in SPLITS for pair in folder.pairs[split]]
    factors = [max(one, 1 / one) for one in ((high * width) / (wide * height) for high, wide in shapes)]
    found = [factor for factor in factors if factor > STRETCH]
    return len(found), max(found, default=1.0)


def _draw(folder: Folder, target: Path) -> tuple[Path, ...]:
    """Overlays of images spread over the splits; one that can't be read is left out, since a problem says so."""
    chosen = [(split, pair) for split in SPLITS for pair in folder.pairs[split]]
    chosen = [chosen[len(chosen) * (2 * n + 1) // (2 * OVERLAYS)] for n in range(OVERLAYS)]
    paths = []
    try:
        target = target.expanduser() / folder.info.name
        target.mkdir(parents=True, exist_ok=True)
        for split, pair in dict.fromkeys(chosen):
            picture = _overlay(folder, split, pair)
            if picture is not None:
                paths.append(target / f"{split}-{pair.stem}.png")
                picture.save(paths[-1])
    except OSError as error:
        raise DatasetError(f"{target}: overlays can't be written: {error.strerror or one_line(error)}") from error
    return tuple(paths)


def _overlay(folder: Folder, split: str, pair: Pair) -> Image.Image | None:
    """The image beside itself with the classes' colors half over it, and the names of its classes below."""
    dataset = FolderDataset(folder, split)
    try:
        image, label = dataset[folder.pairs[split].index(pair)]
    except DatasetError:
        return None
    both = np.concatenate([image, blended(image, label, folder.info)], axis=1)
    picture = Image.fromarray(both)
    picture.thumbnail((2 * _LONGEST, _LONGEST))
    rows = [(name, color, int((label == number).sum())) for number, (name, color) in _classes(folder.info)]
    rows = sorted((row for row in rows if row[2]), key=lambda row: -row[2])[:12]
    whole = Image.new("RGB", (max(picture.width, 320), picture.height + 16 * len(rows) + 8), "white")
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    for number, (name, color, count) in enumerate(rows):
        top = picture.height + 4 + 16 * number
        draw.rectangle((4, top, 16, top + 12), fill=color, outline="black")
        text = f"{name}: {count / label.size:.1%}".encode("latin-1", "replace").decode("latin-1")  # the built-in font's
        draw.text((22, top), text, fill="black")
    return whole


def _classes(info: DatasetInfo) -> list[tuple[int, tuple[str, tuple[int, int, int]]]]:
    return list(enumerate(zip(info.classes, info.colors, strict=True)))


def blended(image: Pixels, label: Pixels, info: DatasetInfo) -> Pixels:
    """An image (H, W, 3) with the colors of its classes half over it; void stays as it is."""
    table = np.zeros((256, 3), np.uint8)
    table[: info.num_classes] = info.colors
    half = ((image.astype(np.uint16) + table[label]) // 2).astype(np.uint8)
    overlay: Pixels = np.where((label == VOID)[..., None], image, half)
    return overlay
