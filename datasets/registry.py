"""Which datasets there are and where their code is. A dataset's module is imported when it is first used."""

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from datasets import folder, plugins
from datasets.base import Dataset, DatasetError, DatasetInfo
from datasets.files import FileDataset, FileModule

# Modules of datasets that lie in files offer what FileModule says, those of drawn ones what DrawnModule does.
_IN_FILES: Mapping[str, str] = MappingProxyType(
    {"camvid": "datasets.camvid", "sunrgbd": "datasets.sunrgbd", "nyuv2": "datasets.nyuv2"}
)
_DRAWN: Mapping[str, str] = MappingProxyType({"roads": "datasets.roads"})


class DrawnModule(Protocol):
    """What the module of a dataset that a program draws offers."""

    INFO: DatasetInfo

    def load(self, split: str, root: Path | str | None) -> Dataset:
        """One split."""
        ...

    def content_hash(self, root: Path | str | None) -> tuple[str, str]:
        """(variant, SHA-256)."""
        ...


def names() -> list[str]:
    """Names of all datasets of this package."""
    return [*_DRAWN, *_IN_FILES]


def resolve(name: str, root: Path | str | None = None) -> tuple[str, str | None]:
    """The name under which runs know a dataset, and its data root: `folder:PATH` names both in one.

    DatasetError if there is no such folder, or its dataset.toml can't be read.
    """
    if name.startswith(folder.PREFIX):
        place = folder.place_of(name.removeprefix(folder.PREFIX))
        return folder.known_as(place), str(place)
    return name, None if root is None else str(root)


def file_module(name: str) -> FileModule | None:
    """The module of a dataset of this package that lies in files; none for others."""
    return cast(FileModule, importlib.import_module(_IN_FILES[name])) if name in _IN_FILES else None


def info(name: str, root: Path | str | None = None) -> DatasetInfo:
    """A dataset's description. Only own data needs the root, and is read for it the first time.

    DatasetError if the name is unknown.
    """
    name, root = resolve(name, root)
    if folder.is_name(name):
        return folder.info(folder.place_of(root))
    source = file_module(name)
    if source is not None:
        return source.INFO
    return _drawn(name).INFO if name in _DRAWN else plugins.find(name, _unknown).info(root)


def load(name: str, split: str, root: Path | str | None = None) -> Dataset:
    """One split of a dataset. `root` is the data root, which a drawn dataset does not need.

    DatasetError if name or split is unknown, or the files are missing or do not fit together.
    """
    name, root = resolve(name, root)
    if folder.is_name(name):
        return folder.load(split, folder.place_of(root))
    source = file_module(name)
    if source is not None:
        return FileDataset(source, split, root)
    return _drawn(name).load(split, root) if name in _DRAWN else plugins.find(name, _unknown).load(split, root)


def content_hash(name: str, root: Path | str | None = None) -> tuple[str, str]:
    """(variant, SHA-256 in hex) of a dataset's content, all splits together; reads every file."""
    name, root = resolve(name, root)
    if folder.is_name(name):
        return folder.content_hash(folder.place_of(root))
    source = file_module(name)
    if source is not None:
        return source.hash_folder(source.locate(root))
    return _drawn(name).content_hash(root) if name in _DRAWN else plugins.find(name, _unknown).content_hash(root)


def _drawn(name: str) -> DrawnModule:
    return cast(DrawnModule, importlib.import_module(_DRAWN[name]))


def _unknown(name: str) -> DatasetError:
    known = [*names(), *plugins.targets()]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}, and folder:PATH for your own images"
    return DatasetError(f"unknown dataset {name!r}: {hint}")
