"""Synthetic datasets: each picture follows from the drawing's revision, its split and its index alone."""

import hashlib
import json
from collections.abc import Callable

from datasets.base import SPLITS, Dataset, DatasetInfo, Pixels, require_split

Draw = Callable[[tuple[int, int, int]], tuple[Pixels, Pixels]]


class SyntheticDataset(Dataset):
    """One split of a drawn dataset. Drawing takes tens of ms a picture: read it through the cache.

    Args:
        info: of the dataset.
        split: train, val or test.
        revision: of the drawing.
        draw: image (H, W, 3) and label (H, W) that follow from (revision, number of the split, index).
    """

    def __init__(self, info: DatasetInfo, split: str, revision: int, draw: Draw) -> None:
        require_split(info.name, split, info.splits)
        self.info = info
        self.split = split
        self.image_ids = tuple(f"{split}_{k:03d}" for k in range(info.splits[split]))
        self._revision = revision
        self._draw = draw

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end."""
        number = range(len(self))[index]
        return self._draw((self._revision, SPLITS.index(self.split), number))

    @property
    def variant(self) -> str:
        """The dataset's name: there is one edition."""
        return self.info.name

    @property
    def content_hash(self) -> str:
        """SHA-256 of what determines the pictures."""
        return synthetic_hash(self.info, self._revision)[1]


def synthetic_hash(info: DatasetInfo, revision: int) -> tuple[str, str]:
    """(name, SHA-256) of what determines the pictures: revision, size and numbers of images."""
    recipe = {"name": info.name, "revision": revision, "size": info.size, "splits": dict(info.splits)}
    return info.name, hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
