"""Makes the folder that a dataset is read from out of another layout, such as its official release."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from datasets.base import DatasetError
from datasets.registry import info
from datasets.release import Prepared, Progress

# Modules with `prepare(root, release, progress)`.
_MODULES: Mapping[str, str] = MappingProxyType(
    {"sunrgbd": "datasets.sunrgbd.official", "nyuv2": "datasets.nyuv2_official"}
)


def prepare(
    name: str, root: Path | str | None, release: Path | str | None = None, progress: Progress | None = None
) -> Prepared:
    """Make a dataset's folder under the data root; `release` is where its official release lies.

    DatasetError if the dataset is unknown or needs no such step, and for whatever is wrong with the release.
    """
    described = info(name)
    if name not in _MODULES:
        done = "drawn by this program" if described.synthetic else f"made ready by `data fetch {name}`"
        raise DatasetError(f"{name} needs no preparing: it is {done}; only {' and '.join(_MODULES)} do")
    made: Prepared = importlib.import_module(_MODULES[name]).prepare(root, release, progress)
    return made
