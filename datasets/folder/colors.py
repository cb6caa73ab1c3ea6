"""Tables that say which color of a label picture is which class."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from datasets.base import Color, DatasetError, one_line
from datasets.pictures import read_bytes

COLOR_TABLES = ("labelmap.txt", "class_dict.csv", "label_colors.txt")


def read_colors(path: Path) -> Iterable[tuple[str, Color]]:
    """(name, color) of a table: CVAT's labelmap.txt, class_dict.csv, or CamVid's label_colors.txt.

    DatasetError naming the line that is none of them.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: not a UTF-8 text: save it as UTF-8") from None
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _table_line(line)
        if entry is not None:
            found.append(entry)
        elif found or path.suffix != ".csv":  # a CSV file begins with its heads
            raise DatasetError(
                f"{path}: line {number}: {line.strip()[:60]!r} is no class with its color: write `name:r,g,b::`, "
                "`name,r,g,b` or `r g b name`"
            )
    if not found:
        raise DatasetError(f"{path}: holds no class with its color: write `name:r,g,b::`, one a line, or remove it")
    return found


def _table_line(line: str) -> tuple[str, Color] | None:
    text = line.strip()
    if cvat := re.fullmatch(r"([^:]+):\s*([0-9]+)\s*,\s*([0-9]+)\s*,\s*([0-9]+)\s*(?::.*)?", text):
        name, *color = cvat.groups()
    elif camvid := re.fullmatch(r"([0-9]+)\s+([0-9]+)\s+([0-9]+)\s+(.+)", text):
        *color, name = camvid.groups()
    else:
        try:
            cells = next(csv.reader([text], skipinitialspace=True), [])
        except csv.Error:
            return None
        if len(cells) < 4:
            return None
        name, *color = cells[:4]
    values = [int(one) for one in color if re.fullmatch(r"\s*[0-9]{1,3}\s*", one)]
    if len(values) != 3 or max(values) > 255 or not name.strip():
        return None
    return one_line(name), cast(Color, tuple(values))
