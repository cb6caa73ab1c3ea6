"""Which datasets there are and where their code is. A dataset's module is imported when it is first used."""

import difflib
import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from datasets.base import Dataset, DatasetError, DatasetInfo, Pair, Pixels, Size

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "roads": "datasets.roads",
        "camvid": "datasets.camvid",
        "sunrgbd": "datasets.sunrgbd",
        "nyuv2": "datasets.nyuv2",
    }
)


class DatasetModule(Protocol):
    """What a dataset's module offers to the registry."""

    INFO: DatasetInfo

    def load(self, split: str, root: Path | str | None) -> Dataset:
        """One split."""
        ...

    def content_hash(self, root: Path | str | None) -> tuple[str, str]:
        """(variant, SHA-256)."""
        ...


class FileDatasetModule(DatasetModule, Protocol):
    """What the module of a dataset that lies in files offers besides."""

    UNKNOWN_VARIANT: str

    def locate(self, root: Path | str | None) -> Path:
        """The dataset's folder."""
        ...

    def survey(self, folder: Path, split: str) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
        """The pairs of a split, and all that is wrong with it."""
        ...

    def read_pair(self, pair: Pair, size: Size) -> tuple[Pixels, Pixels]:
        """Image and label of one pair at this size."""
        ...


def names() -> list[str]:
    """Names of all datasets."""
    return list(_MODULES)


def module(name: str) -> DatasetModule:
    """A dataset's module; DatasetError with the nearest name where there is none of this name."""
    if name not in _MODULES:
        near = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_MODULES)}"
        raise DatasetError(f"unknown dataset {name!r}: {hint}")
    return cast(DatasetModule, importlib.import_module(_MODULES[name]))


def file_module(name: str) -> FileDatasetModule:
    """The module of a dataset that lies in files."""
    return cast(FileDatasetModule, module(name))


def info(name: str) -> DatasetInfo:
    """A dataset's description; touches no data. DatasetError if the name is unknown."""
    return module(name).INFO


def load(name: str, split: str, root: Path | str | None = None) -> Dataset:
    """One split of a dataset. `root` is the data root, which a drawn dataset does not need.

    DatasetError if name or split is unknown, or the files are missing or do not fit together.
    """
    return module(name).load(split, root)


def content_hash(name: str, root: Path | str | None = None) -> tuple[str, str]:
    """(variant, SHA-256 in hex) of a dataset's content, all splits together; reads every file."""
    return module(name).content_hash(root)
