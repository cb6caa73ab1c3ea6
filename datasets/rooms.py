"""The dataset "rooms": drawn indoor scenes with SUN RGB-D's 37 classes, for tests and quick runs.

Every picture follows from the generator's revision, its split and its index alone. Walls and floor take the
most pixels, as in SUN RGB-D, and each class takes of a picture that it is in about the share that the weights
of RedNet's loss tell of SUN RGB-D (github.com/JindongJiang/RedNet, utils/utils.py: median frequency over the
class's own, of the pictures that hold it); counts of the whole corpus were not to be had. Cameras differ in
place, direction, exposure, white balance and saturation, and materials are shared between the classes, so
that neither a pixel's color nor its place tells much: shape, texture and context must.
No accuracy on it stands beside a figure of the paper.
"""

from pathlib import Path

from datasets.base import DatasetInfo
from datasets.drawn import Drawn, drawn_hash
from datasets.roads_canvas import HEIGHT, WIDTH
from datasets.rooms_scene import REVISION, draw_room
from datasets.sunrgbd import CLASSES, COLORS

INFO = DatasetInfo(
    name="rooms",
    title="Drawn rooms",
    classes=CLASSES,
    colors=COLORS,
    size=(HEIGHT, WIDTH),
    splits={"train": 200, "val": 40, "test": 80},
    source=f"drawn by this program (revision {REVISION})",
    drawn=True,
)


def load(split: str, root: Path | str | None = None) -> Drawn:
    """One split; the data root is not needed."""
    del root
    return Drawn(INFO, split, REVISION, draw_room)


def content_hash(root: Path | str | None = None) -> tuple[str, str]:
    """("rooms", SHA-256) of what determines the pictures; the data root is not needed."""
    del root
    return drawn_hash(INFO, REVISION)
