"""The dataset "roads": drawn road scenes with CamVid's classes, for tests and quick runs without a download.

Every picture follows from the generator's revision, its split and its index alone. The share of the classes
is about CamVid's, with twice its cars. Cameras differ in where they look, in exposure, white balance and
saturation, so that neither a pixel's color nor its place tells much: shape, texture and context must.
No accuracy on it stands beside a figure of the paper.
"""

import hashlib
import json
from pathlib import Path

from datasets.base import ROAD_CLASSES, ROAD_COLORS, SPLITS, Dataset, DatasetInfo, Pixels, require_split
from datasets.roads.canvas import HEIGHT, WIDTH
from datasets.roads.scene import REVISION, draw_scene

INFO = DatasetInfo(
    name="roads",
    title="Synthetic roads",
    classes=ROAD_CLASSES,
    colors=ROAD_COLORS,
    size=(HEIGHT, WIDTH),
    splits={"train": 160, "val": 40, "test": 60},
    source=f"drawn by this program (revision {REVISION})",
    synthetic=True,
)


class Roads(Dataset):
    """One split. Drawing takes tens of ms a picture: read it through the cache."""

    info = INFO
    variant = INFO.name

    def __init__(self, split: str) -> None:
        require_split(INFO.name, split)
        self.split = split
        self.image_ids = tuple(f"{split}_{k:03d}" for k in range(INFO.splits[split]))

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (H, W, 3) and label (H, W); IndexError past the end."""
        number = range(len(self))[index]
        return draw_scene((REVISION, SPLITS.index(self.split), number))

    @property
    def content_hash(self) -> str:
        """SHA-256 of what determines the pictures: revision, size and numbers of images."""
        recipe = {"name": INFO.name, "revision": REVISION, "size": INFO.size, "splits": dict(INFO.splits)}
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def info(root: Path | str | None = None) -> DatasetInfo:
    """The description; the data root is not needed."""
    del root
    return INFO


def load(split: str, root: Path | str | None = None) -> Roads:
    """One split; the data root is not needed."""
    del root
    return Roads(split)


def content_hash(root: Path | str | None = None) -> tuple[str, str]:
    """("roads", SHA-256) of what determines the pictures; the data root is not needed."""
    del root
    return INFO.name, Roads("train").content_hash
