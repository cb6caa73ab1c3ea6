"""From what a label file holds to classes: values by a table, colors by an exact one."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.base import VOID, Color, DatasetError, Pixels
from datasets.folder.colors import COLOR_TABLES
from datasets.folder.settings import Settings
from datasets.pictures import TurnedPicture, palette_colors, read_values

_UNKNOWN = 254  # of a color; classes are at most 0 to 253
WRONG = -1
VALUES = 65536


def read_raw(path: Path, settings: Settings) -> tuple[NDArray[np.uint16], bool]:
    """Values (H, W) of a label file, and whether these are classes already, since they come from colors.

    DatasetError naming the file, and what to write where.
    """
    try:
        found = read_values(path, settings.orientation)
    except TurnedPicture as error:
        raise turned(error, settings) from None
    if found.dtype == np.uint16:
        values = found.astype(np.uint16, copy=False)
        _check_palette(path, values, settings)
        return values, False
    found = found.astype(np.uint8, copy=False)
    if settings.label_colors:
        return _by_color(path, found, settings), True
    if not ((found[..., 0] == found[..., 1]) & (found[..., 1] == found[..., 2])).all():
        colors = np.unique(found.reshape(-1, 3)[:: max(1, found.size // 300_000)], axis=0)
        shown = ", ".join(str(tuple(int(v) for v in color)) for color in colors[:4])
        raise DatasetError(
            f"{path}: the label is in colors ({shown} and so on): say which class each is, in {settings.origin}: "
            f"label_colors = {{ name = [r, g, b] }}, or beside it in {COLOR_TABLES[0]}: name:r,g,b::"
        )
    return found[..., 0].astype(np.uint16), False


def _check_palette(path: Path, values: NDArray[np.uint16], settings: Settings) -> None:
    """An index counts for more than its color, but both must say the same class where the table has the color."""
    colors = palette_colors(path) if settings.label_colors else None
    if colors is None:
        return
    table = class_table(settings, len(settings.classes))
    for index in np.unique(values).tolist():
        color = colors[index] if index < len(colors) else None
        to = settings.label_colors.get(color) if color else None
        if to is not None and to != table[index]:
            raise DatasetError(
                f"{path}: index {index} has the color {color} in the palette, which the table of colors says is "
                f"{_named(to, settings)}, where the index says {_named(int(table[index]), settings)}: save labels as "
                "RGB, or with the classes' numbers as indices"
            )


def _named(to: int, settings: Settings) -> str:
    return settings.classes[to] if 0 <= to < len(settings.classes) else "no class"


def turned(error: TurnedPicture, settings: Settings) -> TurnedPicture:
    """The error with the lines to write."""
    lines = 'orientation = "apply" (as it is shown) or orientation = "stored" (as its pixels lie)'
    return TurnedPicture(f"{error}; or write {lines} in {settings.origin}")


def _by_color(path: Path, pixels: Pixels, settings: Settings) -> NDArray[np.uint16]:
    table = _color_table(tuple(settings.label_colors.items()))
    classes = np.empty(pixels.shape[:2], np.uint16)
    for row, line in enumerate(pixels):  # one at a time: codes take four times a label's memory
        classes[row] = table[_codes(line)]
    wrong = classes == _UNKNOWN
    if wrong.any():
        row, column = (int(v) for v in np.argwhere(wrong)[0])
        color = tuple(int(v) for v in pixels[row, column])
        unknown, counts = np.unique(_codes(pixels[wrong]), return_counts=True)
        count = int(counts[unknown == _codes(pixels[row, column])][0])
        others = len(unknown) - 1
        more = f" and {others} more colors" if others else ""
        in_toml = settings.colors_origin == settings.origin
        line = f"label_colors: void = {list(color)}" if in_toml else f"void:{color[0]},{color[1]},{color[2]}::"
        raise DatasetError(
            f"{path}: the color {color} ({count:,} pixels, first at row {row}, column {column}){more} is in no line "
            f"of {settings.colors_origin}: add it there, `{line}` if it is no class; labels must have been saved "
            "without loss"
        )
    return classes


def _codes(colors: Pixels) -> NDArray[np.uint32]:
    """Colors (..., 3) as numbers."""
    red, green, blue = (colors[..., channel].astype(np.uint32) for channel in range(3))
    return red << np.uint32(16) | green << np.uint32(8) | blue


@lru_cache(maxsize=2)
def _color_table(colors: tuple[tuple[Color, int], ...]) -> Pixels:
    """Color code -> class, (2^24,)."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    for (red, green, blue), to in colors:
        table[red << 16 | green << 8 | blue] = to
    return table


def class_table(settings: Settings, num_classes: int) -> NDArray[np.int16]:
    """Value in the files -> class, VOID, or WRONG, (65536,)."""
    values = np.arange(VALUES)
    table = values - 1 if settings.zero == "ignore" else values
    table = np.where(table < num_classes, table, WRONG)
    if settings.zero == "ignore":
        table[0] = VOID
    if settings.unmapped == "ignore":
        table[:] = VOID
    for value, to in settings.mapping.items():
        table[value] = to if to < num_classes else WRONG
    table[sorted(settings.ignore)] = VOID
    return table.astype(np.int16)


def count_classes(settings: Settings, values: Mapping[int, int]) -> int:
    """How many classes there are where none is named: up to the highest that occurs."""
    table = class_table(settings, VOID)
    found = [int(table[value]) for value in values]
    return max((one for one in found if one not in (VOID, WRONG)), default=-1) + 1


def apply_table(values: NDArray[np.uint16], table: NDArray[np.int16], path: Path) -> Pixels:
    """Values (H, W) -> classes and VOID; DatasetError naming the first value that is neither."""
    classes = table[values]
    wrong = classes == WRONG
    if wrong.any():
        row, column = (int(v) for v in np.argwhere(wrong)[0])
        raise DatasetError(f"{path}: label value {values[row, column]} at row {row}, column {column} is no class")
    return classes.astype(np.uint8)
