"""What a folder of own data says about itself: `dataset.toml`, `data.yaml`, or a table of colors.

dataset.toml, all of it optional:

    name = "pets"                       # of runs and reports; else the folder's
    title = "Pets"
    classes = ["background", "cat"]     # in the order of the label values, from 0
    colors = [[0, 0, 0], [255, 0, 0]]   # of the reports' pictures, one a class
    images = "photos/{split}"           # where images and labels lie, if not in a usual place
    labels = "masks/{split}"
    ignore = 255                        # value or values that are no class; "unmapped": all that mapping lacks
    zero = "class"                      # or "ignore": 0 is no class, and classes are counted from 1
    mapping = { 7 = 0, 11 = 1 }         # value in the files = class
    label_colors = { cat = [255, 0, 0] }  # where labels are pictures in colors: name = color
    orientation = "apply"               # or "stored": what EXIF says of turned pictures
"""

import re
import reprlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from datasets.base import VOID, Color, DatasetError, one_line
from datasets.folder.colors import COLOR_TABLES, read_colors
from datasets.pictures import Orientation, read_bytes

TOML, YAMLS = "dataset.toml", ("data.yaml", "data.yml", "dataset.yaml")
MOST_CLASSES = 254
_VOID_NAMES = frozenset({"void", "ignore", "ignored", "unlabeled", "unlabelled"})
_KEYS = frozenset(
    {
        "name", "title", "classes", "names", "colors", "images", "labels", "ignore", "zero", "mapping", "label_colors",
        "orientation",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a folder's files are read.

    origin: the file that says so, dataset.toml where none does. classes: empty where they are not named.
    ignore: values that are no class; ignore_said: whether the file names them. unmapped: what becomes of a
    value that the mapping lacks. colors: of the reports' pictures. label_colors: color in the labels -> class,
    VOID for none; empty where labels hold indices; colors_origin: the file that says so. images, labels: where
    files lie, with "{split}" in it; by_split: the same, a split each.
    """

    origin: Path
    name: str = ""
    title: str = ""
    classes: tuple[str, ...] = ()
    colors: tuple[Color, ...] = ()
    ignore: frozenset[int] = frozenset({VOID})
    ignore_said: bool = False
    unmapped: Literal["class", "ignore"] = "class"
    zero: Literal["class", "ignore"] = "class"
    mapping: Mapping[int, int] = field(default_factory=dict)
    label_colors: Mapping[Color, int] = field(default_factory=dict)
    colors_origin: Path | None = None
    orientation: Orientation = "refuse"
    images: str = ""
    labels: str = ""
    by_split: Mapping[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> list[object]:
        """All that decides which class a pixel is: part of the dataset's content."""
        colors = sorted((*color, to) for color, to in self.label_colors.items())
        mapping = sorted(self.mapping.items())
        return [sorted(self.ignore), self.unmapped, self.zero, mapping, colors, self.orientation]


def read_settings(folder: Path) -> Settings:
    """The settings of a folder; DatasetError naming file, key and what to write."""
    path = folder / TOML
    if path.is_file():
        try:
            values = tomllib.loads(read_bytes(path).decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            what = f"{path}: no TOML file: {one_line(error)}"
            raise DatasetError(f'{what}; texts stand in quotes: name = "pets", classes = ["a", "b"]') from None
        return _from_toml(path, values, folder)
    for name in YAMLS:
        if (folder / name).is_file():
            return _from_yaml(folder / name, folder)
    return _with_table(Settings(origin=path), folder)


def _from_toml(path: Path, values: Mapping[str, Any], folder: Path) -> Settings:
    for key in values:
        if key not in _KEYS:
            raise DatasetError(f"{path}: {key}: no such key; there are {', '.join(sorted(_KEYS))}")
    found = _reading_of(path, values)
    found |= {
        "name": _text(path, values, "name"),
        "title": _text(path, values, "title"),
        "images": _text(path, values, "images"),
        "labels": _text(path, values, "labels"),
        "orientation": _choice(path, values, "orientation", ("refuse", "apply", "stored")),
    }
    colored = values.get("label_colors")
    settings = Settings(origin=path, **found)
    if colored is None:
        return _with_table(settings, folder)
    if not isinstance(colored, Mapping):
        raise _bad(path, "label_colors", colored, "{ cat = [255, 0, 0], ... }")
    table = [(str(name), _color(path, "label_colors", color)) for name, color in colored.items()]
    return _with_colors(settings, table, path)


def _from_yaml(path: Path, folder: Path) -> Settings:
    """Ultralytics' data.yaml: path, train, val, test, masks_dir, names, label_mapping."""
    import yaml

    try:
        values = yaml.safe_load(read_bytes(path).decode("utf-8-sig"))
    except (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:  # whatever a tag meets
        raise DatasetError(f"{path}: no YAML file: {one_line(error)}") from None
    if not isinstance(values, dict):
        raise DatasetError(f"{path}: must be keys with values, such as names and train")
    known = {"classes": values.get("names", values.get("classes")), "mapping": values.get("label_mapping")}
    known |= {key: values.get(key) for key in ("ignore", "zero", "colors")}
    found = _reading_of(path, {key: value for key, value in known.items() if value is not None})
    found["labels"] = _text(path, {"masks_dir": values.get("masks_dir") or ""}, "masks_dir")
    base = values.get("path")
    places = {}
    for split in ("train", "val", "test"):
        value = values.get(split)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise _bad(path, split, value, f"one folder, or one list file, such as images/{split}")
        places[split] = _beneath(folder, base if isinstance(base, str) else "", value)
    return _with_table(Settings(origin=path, by_split=MappingProxyType(places), **found), folder)


def _beneath(folder: Path, base: str, value: str) -> str:
    """A place of data.yaml below the folder; `path` is often that of another machine, and then means nothing.

    Roboflow writes `../train/images` for `train/images` beside the file: as Ultralytics, where the first is not there.
    """
    for place in (value, value.removeprefix("../")):
        for start in (folder / base, folder):
            if (start / place).exists():
                return str((start / place).absolute())
    return str(folder / value)


def _reading_of(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What both kinds of files say about labels."""
    classes = _classes(path, values.get("classes", values.get("names")))
    mapping, ignored = _mapping(path, values.get("mapping"))
    ignore = values.get("ignore", [] if VOID in mapping else VOID)
    unmapped = "ignore" if ignore == "unmapped" else "class"
    if ignore == "unmapped":
        ignore = [VOID]
    numbers = ignore if isinstance(ignore, list) else [ignore]
    if not all(type(one) is int and 0 <= one <= 65535 for one in numbers):
        raise _bad(path, "ignore", ignore, 'a value, such as 255, values, such as [0, 255], or "unmapped"')
    if both := sorted({*numbers} & {*mapping}):
        raise DatasetError(f"{path}: {both[0]} is in ignore and in mapping: remove it from one of them")
    if classes and (beyond := next(((value, to) for value, to in mapping.items() if to >= len(classes)), None)):
        what = f"{path}: mapping: {beyond[0]} = {beyond[1]}, but there are {len(classes)} classes"
        raise DatasetError(f"{what}, 0 to {len(classes) - 1}: correct it, or name more in classes")
    colors = values.get("colors", [])
    if not isinstance(colors, list):
        raise _bad(path, "colors", colors, "[[0, 0, 0], [255, 0, 0]]")
    if colors and len(colors) != len(classes):
        raise DatasetError(f"{path}: colors: {len(colors)} of them for {len(classes)} classes: write one a class")
    return {
        "classes": classes,
        "colors": tuple(_color(path, "colors", one) for one in colors),
        "ignore": frozenset({*numbers, *ignored}),
        "ignore_said": "ignore" in values,
        "unmapped": unmapped,
        "zero": _choice(path, values, "zero", ("class", "ignore")),
        "mapping": MappingProxyType(mapping),
    }


def _classes(path: Path, value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        numbers = {_number(path, "classes", key): name for key, name in value.items()}
        if sorted(numbers) != list(range(len(numbers))):
            raise _bad(path, "classes", sorted(numbers), "numbers from 0 without a gap")
        value = [numbers[number] for number in range(len(numbers))]
    if not isinstance(value, list) or not all(isinstance(one, str | int) and str(one).strip() for one in value):
        raise _bad(path, "classes", value, '["background", "cat"]')
    names = tuple(one_line(one) for one in value)
    if not 2 <= len(names) <= MOST_CLASSES:
        what = f"{path}: classes: {len(names)} of them; there must be 2 to {MOST_CLASSES}"
        raise DatasetError(f'{what}: write "background" as one too, if it is what else there is')
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DatasetError(f"{path}: classes: {twice!r} twice: each class needs a name of its own")
    return names


def _mapping(path: Path, value: object) -> tuple[dict[int, int], set[int]]:
    """Value -> class, and the values that are mapped to "ignore" or to 255."""
    if value is None:
        return {}, set()
    if not isinstance(value, Mapping):
        raise _bad(path, "mapping", value, "{ 7 = 0, 11 = 1 }")
    mapping: dict[int, int] = {}
    ignored: set[int] = set()
    for key, to in value.items():
        number = _number(path, "mapping", key)
        if to in ("ignore", VOID):
            ignored.add(number)
        elif type(to) is int and 0 <= to < MOST_CLASSES:
            mapping[number] = to
        else:
            raise _bad(path, "mapping", {key: to}, f'a class from 0 to {MOST_CLASSES - 1}, or "ignore"')
    return mapping, ignored


def _number(path: Path, key: str, value: object) -> int:
    if type(value) is int or (isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value)):
        number = int(cast(str, value))
        if 0 <= number <= 65535:
            return number
    raise _bad(path, key, value, "a label value from 0 to 65535")


def _color(path: Path, key: str, value: object) -> Color:
    if isinstance(value, Sequence) and len(value) == 3 and all(type(one) is int and 0 <= one <= 255 for one in value):
        return cast(Color, tuple(value))
    raise _bad(path, key, value, "[255, 0, 0]: red, green, blue")


def _text(path: Path, values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    if not isinstance(value, str) or not value.isprintable():
        raise _bad(path, key, value, "a text in quotes")
    return value.strip()


def _choice(path: Path, values: Mapping[str, Any], key: str, allowed: Sequence[str]) -> str:
    value = values.get(key, allowed[0])
    if value not in allowed:
        raise _bad(path, key, value, " or ".join(f'"{one}"' for one in allowed))
    return str(value)


def _bad(path: Path, key: str, value: object, wanted: str) -> DatasetError:
    return DatasetError(f"{path}: {key}: {one_line(reprlib.repr(value))} is not understood: write {wanted}")


# -- tables of colors ---------------------------------------------------------------------------------------


def _with_table(settings: Settings, folder: Path) -> Settings:
    """The settings with the folder's table of colors, if it has one."""
    path = next((folder / name for name in COLOR_TABLES if (folder / name).is_file()), None)
    return settings if path is None else _with_colors(settings, list(read_colors(path)), path)


def _with_colors(settings: Settings, table: Sequence[tuple[str, Color]], path: Path) -> Settings:
    """Names and colors of a table; entries named void, ignore or unlabeled are no classes."""
    twice = [color for number, (_, color) in enumerate(table) if color in [other for _, other in table[:number]]]
    if twice:
        raise DatasetError(f"{path}: the color {twice[0]} twice: each class needs a color of its own")
    named = [(name, color) for name, color in table if name.lower() not in _VOID_NAMES]
    classes = settings.classes or _classes(path, [name for name, _ in named])
    if len(classes) != len(named):
        raise DatasetError(
            f"{path}: {len(named)} colors of classes, but {settings.origin} names {len(classes)} classes: "
            "make them the same, or remove one of the two"
        )
    places = {name.casefold(): number for number, name in enumerate(classes)}
    if sorted(places) != sorted(name.casefold() for name, _ in named):
        raise DatasetError(
            f"{path}: its names ({', '.join(name for name, _ in named[:4])} …) are not those of the classes in "
            f"{settings.origin} ({', '.join(classes[:4])} …): make them the same, or remove one of the two"
        )
    numbers = {color: places[name.casefold()] for name, color in named}
    colors = settings.colors or tuple(sorted(numbers, key=lambda color: numbers[color]))
    everything = {color: numbers.get(color, VOID) for _, color in table}
    of_labels = MappingProxyType(everything)
    return replace(settings, classes=classes, colors=colors, label_colors=of_labels, colors_origin=path)
