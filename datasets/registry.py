"""Which datasets there are and where their code is. A dataset's module is imported when it is first used."""

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from datasets import folder, plugins
from datasets.base import Dataset, DatasetError, DatasetInfo, Progress
from datasets.files import FileModule, FileSource
from datasets.release import Prepared

# Modules of datasets that lie in files offer what FileModule says, those of drawn ones what Source does.
_IN_FILES: Mapping[str, str] = MappingProxyType(
    {"camvid": "datasets.camvid", "sunrgbd": "datasets.sunrgbd", "nyuv2": "datasets.nyuv2"}
)
_DRAWN: Mapping[str, str] = MappingProxyType({"roads": "datasets.roads"})

# Modules with `prepare(root, release, progress)`.
_OFFICIAL: Mapping[str, str] = MappingProxyType(
    {"sunrgbd": "datasets.sunrgbd.official", "nyuv2": "datasets.nyuv2_official"}
)


class Source(Protocol):
    """A dataset by its data root, which a drawn one does not need."""

    def info(self, root: str | None) -> DatasetInfo:
        """The description."""
        ...

    def load(self, split: str, root: str | None) -> Dataset:
        """One split."""
        ...

    def content_hash(self, root: str | None) -> tuple[str, str]:
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
    return _source(name).info(root)


def load(name: str, split: str, root: Path | str | None = None) -> Dataset:
    """One split of a dataset. `root` is the data root, which a drawn dataset does not need.

    DatasetError if name or split is unknown, or the files are missing or do not fit together.
    """
    name, root = resolve(name, root)
    return _source(name).load(split, root)


def content_hash(name: str, root: Path | str | None = None) -> tuple[str, str]:
    """(variant, SHA-256 in hex) of a dataset's content, all splits together; reads every file."""
    name, root = resolve(name, root)
    return _source(name).content_hash(root)


def prepare(
    name: str, root: Path | str | None, release: Path | str | None = None, progress: Progress | None = None
) -> Prepared:
    """Make the folder that a dataset is read from under the data root, out of its official release.

    `release` is where that lies; none: under the data root too. DatasetError if the dataset is unknown or needs no
    such step, and for whatever is wrong with the release.
    """
    described = info(name)
    if name not in _OFFICIAL:
        done = "drawn by this program" if described.synthetic else f"made ready by `data fetch {name}`"
        raise DatasetError(f"{name} needs no preparing: it is {done}; only {' and '.join(_OFFICIAL)} do")
    made: Prepared = importlib.import_module(_OFFICIAL[name]).prepare(root, release, progress)
    return made


def _source(name: str) -> Source:
    if folder.is_name(name):
        return folder
    if name in _DRAWN:
        return cast(Source, importlib.import_module(_DRAWN[name]))
    module = file_module(name)
    return plugins.find(name, _unknown) if module is None else FileSource(module)


def _unknown(name: str) -> DatasetError:
    known = [*names(), *plugins.targets()]
    near = difflib.get_close_matches(name, known, n=1)
    near += [f"{folder.PREFIX}{name}"] if Path(name).expanduser().is_dir() else []
    there = f"there are {', '.join(known)}, and folder:PATH for your own images"
    hint = f"did you mean {' or '.join(near)}?" if near else there
    return DatasetError(f"unknown dataset {name!r}: {hint}")
