"""Plugins: anyone's dataset by one function, `--plugin module:function` or an entry point.

The function takes (split, data root) and gives a sequence of pairs: uint8 image (H, W, 3), uint8 label (H, W)
with void as 255; a `datasets.Dataset` does too. `declare` marks it and names the classes. The dataset is called
as the function, with dashes, or as the entry point of the group `segnet_harness.datasets`.

Which plugins there are follows from what is installed and from the environment variable
SEGNET_DATASET_PLUGINS, which `--plugin` adds to, so that child processes know them too.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

import numpy as np

from datasets.base import (
    LONGEST_ID,
    SPLITS,
    VOID,
    Color,
    Dataset,
    DatasetError,
    DatasetInfo,
    Pixels,
    Size,
    one_line,
    require_split,
)
from datasets.files import is_plain
from datasets.folder import fitted, palette

GROUP = "segnet_harness.datasets"
VARIABLE = "SEGNET_DATASET_PLUGINS"  # targets with commas between them
_MARK = "__dataset__"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")  # part of file names

Function = TypeVar("Function", bound=Callable[..., Any])
Items = Sequence[tuple[Pixels, Pixels]]


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What a plugin tells of its dataset: classes in the order of the label values, colors, title, size (H, W).

    Without a size images are read at that of the first, reduced to 360 x 480 at most.
    """

    classes: tuple[str, ...]
    colors: tuple[Color, ...] = ()
    title: str = ""
    size: Size | None = None

    def __post_init__(self) -> None:
        if not 2 <= len(set(self.classes)) == len(self.classes) <= 254:
            raise DatasetError(f"declare: classes are {self.classes!r}, but must be 2 to 254 different names")
        if self.colors and len(self.colors) != len(self.classes):
            raise DatasetError(f"declare: {len(self.colors)} colors for {len(self.classes)} classes: give one a class")
        if (size := self.size) is not None and not (
            len(size) == 2 and all(isinstance(edge, int | np.integer) and edge > 0 for edge in size)
        ):
            raise DatasetError(f"declare: size is {self.size!r}, but must be (height, width) in pixels: (360, 480)")


def declare(*, classes: Sequence[str], **facts: Any) -> Callable[[Function], Function]:
    """Decorator of a plugin's function: the fields of `Declaration`.

    Raises DatasetError for an unknown field or a bad value.
    """
    try:
        declaration = Declaration(classes=tuple(classes), **facts)
    except TypeError as error:
        raise DatasetError(
            f"declare: {one_line(error)}; allowed are {', '.join(Declaration.__annotations__)}"
        ) from None

    def mark(function: Function) -> Function:
        setattr(function, _MARK, declaration)
        return function

    return mark


class PluginDataset(Dataset):
    """One split of a plugin's dataset; each item is checked, since a plugin may give anything."""

    def __init__(self, plugin: "Plugin", split: str, root: str | None) -> None:
        require_split(plugin.name, split)
        self._plugin, self._root, self.split = plugin, root, split
        self._items = plugin.items(split, root)
        self.image_ids = plugin.ids(self._items, split)
        self.info = plugin.info(root)
        labels = (plugin.checked(self._items, split, index)[1] for index in range(len(self)))  # reads all
        sizes = tuple((label.shape[0], label.shape[1]) for label in labels)
        self.sizes = None if set(sizes) <= {self.info.size} else sizes

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end, DatasetError for what is no such pair."""
        return self._plugin.checked(self._items, self.split, range(len(self))[index])

    @property
    def variant(self) -> str:
        """The plugin's name."""
        return self._plugin.name

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all images and labels; reads them the first time."""
        return self._plugin.content_hash(self._root)[1]


@dataclass(frozen=True)
class Plugin:
    """A plugin's dataset, by its name and its function."""

    name: str
    target: str
    function: Callable[[str, str | None], Items]
    declared: Declaration

    def items(self, split: str, root: str | None) -> Items:
        """What the function gives for a split; DatasetError that names the plugin if it fails."""
        try:
            items = self.function(split, root)
            count = len(items)
        except DatasetError:
            raise
        except (Exception, SystemExit) as error:  # a stranger's function may raise anything: it becomes the one line
            raise DatasetError(f"plugin {self.target}: {split}: {_brief(error)}") from error
        if not count:
            raise DatasetError(f"plugin {self.target}: {split}: gives no images")
        return items

    def ids(self, items: Items, split: str) -> tuple[str, ...]:
        """The images' names, numbers where none are given; DatasetError for what can't name the files of a record."""
        where = f"plugin {self.target}: {split}: image_ids"
        try:
            given = getattr(items, "image_ids", None)
            ids = [] if given is None else [str(one) for one in given]
        except (Exception, SystemExit) as error:  # as above
            raise DatasetError(f"{where}: {_brief(error)}") from error
        ids = ids or [f"{split}-{index:05d}" for index in range(len(items))]
        if len(ids) != len(items):
            raise DatasetError(f"{where}: {len(ids)} of them for {len(items)} images: give one an image")
        for one, count in Counter(ids).items():
            if count > 1:
                raise DatasetError(f"{where}: {one!r:.60} {count} times: give each image an id of its own")
            if not one or "/" in one or not is_plain(one) or len(one.encode()) > LONGEST_ID:
                raise DatasetError(
                    f"{where}: {one!r:.60} can't be part of a file's name: give 1 to {LONGEST_ID} bytes without '/' or "
                    "control signs, such as the stem of the image's file"
                )
        return tuple(ids)

    def checked(self, items: Items, split: str, index: int) -> tuple[Pixels, Pixels]:
        """One pair as arrays; DatasetError that names plugin, split and index if it is none."""
        where = f"plugin {self.target}: {split} {index}"
        try:
            image, label = items[index]
            image, label = np.asarray(image), np.asarray(label)
        except DatasetError:
            raise
        except (Exception, SystemExit) as error:  # as above
            raise DatasetError(f"{where}: {_brief(error)}") from error
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DatasetError(f"{where}: the image is {image.dtype} {image.shape}, not uint8 (H, W, 3)")
        if label.dtype != np.uint8 or label.shape != image.shape[:2]:
            raise DatasetError(f"{where}: the label is {label.dtype} {label.shape}, not uint8 {image.shape[:2]}")
        wrong = (label >= len(self.declared.classes)) & (label != VOID)
        if wrong.any():
            most = len(self.declared.classes) - 1
            raise DatasetError(f"{where}: label value {label[wrong][0]}; classes are 0 to {most} and void is {VOID}")
        return image, label

    def info(self, root: str | None) -> DatasetInfo:
        """The description; asks for all three splits."""
        counts = {split: len(self.items(split, root)) for split in SPLITS}
        size = self.declared.size
        if size is None:
            height, width = self.checked(self.items("train", root), "train", 0)[1].shape
            size = fitted(height, width)
        return DatasetInfo(
            name=self.name,
            title=self.declared.title or self.name,
            classes=self.declared.classes,
            colors=self.declared.colors or palette(len(self.declared.classes)),
            size=size,
            splits=counts,
            source=f"plugin {self.target}",
            synthetic=False,
            own=True,
        )

    def load(self, split: str, root: str | None) -> PluginDataset:
        """One split."""
        return PluginDataset(self, split, root)

    def content_hash(self, root: str | None) -> tuple[str, str]:
        """(name, SHA-256 of all images and labels in their order, of the classes' names and of a declared size)."""
        told = [*map(str, self.declared.classes)], [*map(int, self.declared.size or ())]
        whole = hashlib.sha256(json.dumps(told).encode())
        for split in SPLITS:
            items = self.items(split, root)
            for index in range(len(items)):
                image, label = self.checked(items, split, index)
                whole.update(f"{split} {image.shape}".encode() + image.tobytes() + label.tobytes())
        return self.name, whole.hexdigest()


# -- which there are ----------------------------------------------------------------------------------------


def add(wanted: Sequence[str]) -> list[str]:
    """Make the datasets among these targets known to this process and its children; the others are given back.

    DatasetError where two have one name.
    """
    known, others = _from_environment(), []
    for target in wanted:
        try:
            declared = _declaration(target)
        except DatasetError:
            declared = None  # whoever takes it for a network says what ails it
        if declared is None:
            others.append(target)
        elif target not in known:
            known.append(target)
    if known:
        os.environ[VARIABLE] = ",".join(known)
        targets()  # refuses two of one name
    return others


def targets() -> Mapping[str, str]:
    """Name -> "module:function" of every plugin, installed ones first; nothing is imported.

    DatasetError where two have one name.
    """
    from datasets.registry import names  # late: the registry knows of plugins

    found: dict[str, str] = {}
    taken = dict.fromkeys(names(), "this package")
    named = [(target.rpartition(":")[2].replace("_", "-").lower(), target) for target in _from_environment()]
    for name, target in [*_installed(), *named]:
        if taken.setdefault(name, target) != target:
            raise DatasetError(f"dataset {name!r} is registered twice: {taken[name]} and {target}; rename the function")
        found[name] = target
    return found


def find(name: str, unknown: Callable[[str], DatasetError]) -> Plugin:
    """The plugin of that name, whose module is imported; raises what `unknown` gives where there is none."""
    target = targets().get(name)
    if target is None:
        raise unknown(name)
    if not _NAME.fullmatch(name) or name.startswith("folder-"):
        raise DatasetError(f"plugin {target}: {name!r} can't be a dataset's name; rename it")
    declared = _declaration(target)
    if declared is None:
        raise DatasetError(f"plugin {target}: is no dataset: mark the function with @datasets.declare(classes=...)")
    return Plugin(name, target, _attribute(target), declared)


def _declaration(target: str) -> Declaration | None:
    """What a target declares; none where it is no dataset. DatasetError where it can't be imported."""
    found = getattr(_attribute(target), _MARK, None)
    return found if isinstance(found, Declaration) else None


def _attribute(target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute, None)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        raise DatasetError(f"plugin {target}: importing {module} raised {_brief(error)}") from error


def _from_environment() -> list[str]:
    return [target.strip() for target in os.environ.get(VARIABLE, "").split(",") if target.strip()]


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    """Name and target of every entry point; what is installed does not change while a process runs."""
    return tuple((point.name, point.value) for point in entry_points(group=GROUP))


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {one_line(error)[:200]}"
