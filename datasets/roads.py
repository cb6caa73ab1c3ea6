"""The dataset "roads": drawn road scenes with CamVid's classes, for tests and quick runs without a download.

Every picture follows from the generator's revision, its split and its index alone. The share of the classes
is about CamVid's, with twice its cars. Cameras differ in where they look, in exposure, white balance and
saturation, so that neither a pixel's colour nor its place tells much: shape, texture and context must.
No accuracy on it stands beside a figure of the paper.
"""

import hashlib
import json
from pathlib import Path

from datasets.base import ROAD_CLASSES, ROAD_COLOURS, SPLITS, Dataset, DatasetInfo, Pixels, require_split
from datasets.roads_canvas import HEIGHT, WIDTH
from datasets.roads_scene import REVISION, draw_scene

INFO = DatasetInfo(
    name="roads",
    title="Drawn roads",
    classes=ROAD_CLASSES,
    colours=ROAD_COLOURS,
    size=(HEIGHT, WIDTH),
    splits={"train": 160, "val": 40, "test": 60},
    source=f"drawn by this program (revision {REVISION})",
    drawn=True,
)


class Roads(Dataset):
    """One split of the drawn road scenes. Drawing takes some 40 ms a picture: read it through the cache."""

    def __init__(self, split: str) -> None:
        require_split(INFO.name, split, INFO.splits)
        self.info = INFO
        self.split = split
        self.stems = tuple(f"{split}_{k:03d}" for k in range(INFO.splits[split]))

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (180, 240, 3) and label (180, 240); IndexError past the end."""
        number = range(len(self))[index]
        return draw_scene((REVISION, SPLITS.index(self.split), number))

    @property
    def variant(self) -> str:
        """Always "roads"."""
        return INFO.name

    @property
    def content_hash(self) -> str:
        """SHA-256 of what determines the pictures: revision, size and numbers of images."""
        return content_hash()[1]


def load(split: str, root: Path | str | None = None) -> Roads:
    """One split; the data root is not needed."""
    del root
    return Roads(split)


def content_hash(root: Path | str | None = None) -> tuple[str, str]:
    """("roads", SHA-256) of what determines the pictures; the data root is not needed."""
    del root
    recipe = {"name": INFO.name, "revision": REVISION, "size": INFO.size, "splits": dict(INFO.splits)}
    return INFO.name, hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
