"""The dataset "rooms": drawn indoor scenes with SUN RGB-D's 37 classes, for tests and quick runs.

Every picture follows from the generator's revision, its split and its index alone. Walls and floor take the
most pixels, as in SUN RGB-D, and each class takes of a picture that it is in about the share that the weights
of RedNet's loss tell of SUN RGB-D (github.com/JindongJiang/RedNet, utils/utils.py: median frequency over the
class's own, of the pictures that hold it); counts of the whole corpus were not to be had. Cameras differ in
place, direction, exposure, white balance and saturation, and materials are shared between the classes, so
that neither a pixel's colour nor its place tells much: shape, texture and context must.
No accuracy on it stands beside a figure of the paper.
"""

import hashlib
import json
from pathlib import Path

from datasets.base import SPLITS, Dataset, DatasetInfo, Pixels, require_split
from datasets.roads_canvas import HEIGHT, WIDTH
from datasets.rooms_scene import REVISION, draw_room
from datasets.sunrgbd import CLASSES, COLOURS

INFO = DatasetInfo(
    name="rooms",
    title="Drawn rooms",
    classes=CLASSES,
    colours=COLOURS,
    size=(HEIGHT, WIDTH),
    splits={"train": 200, "val": 40, "test": 80},
    source=f"drawn by this program (revision {REVISION})",
    drawn=True,
)


class Rooms(Dataset):
    """One split of the drawn rooms. Drawing takes some tens of ms a picture: read it through the cache."""

    def __init__(self, split: str) -> None:
        require_split(INFO.name, split, INFO.splits)
        self.info = INFO
        self.split = split
        self.stems = tuple(f"{split}_{k:03d}" for k in range(INFO.splits[split]))

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Image (180, 240, 3) and label (180, 240); IndexError past the end."""
        number = range(len(self))[index]
        return draw_room((REVISION, SPLITS.index(self.split), number))

    @property
    def variant(self) -> str:
        """Always "rooms"."""
        return INFO.name

    @property
    def content_hash(self) -> str:
        """SHA-256 of what determines the pictures: revision, size and numbers of images."""
        return content_hash()[1]


def load(split: str, root: Path | str | None = None) -> Rooms:
    """One split; the data root is not needed."""
    del root
    return Rooms(split)


def content_hash(root: Path | str | None = None) -> tuple[str, str]:
    """("rooms", SHA-256) of what determines the pictures; the data root is not needed."""
    del root
    recipe = {"name": INFO.name, "revision": REVISION, "size": INFO.size, "splits": dict(INFO.splits)}
    return INFO.name, hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
