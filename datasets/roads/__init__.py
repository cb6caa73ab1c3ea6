"""The dataset "roads": drawn road scenes with CamVid's classes, for tests and quick runs without a download.

Every picture follows from the generator's revision, its split and its index alone. The share of the classes
is about CamVid's, with twice its cars. Cameras differ in where they look, in exposure, white balance and
saturation, so that neither a pixel's color nor its place tells much: shape, texture and context must.
No accuracy on it stands beside a figure of the paper.
"""

from pathlib import Path

from datasets.base import ROAD_CLASSES, ROAD_COLORS, DatasetInfo
from datasets.roads.canvas import HEIGHT, WIDTH
from datasets.roads.scene import REVISION, draw_scene
from datasets.roads.synthetic import SyntheticDataset, synthetic_hash

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


def load(split: str, root: Path | str | None = None) -> SyntheticDataset:
    """One split; the data root is not needed."""
    del root
    return SyntheticDataset(INFO, split, REVISION, draw_scene)


def content_hash(root: Path | str | None = None) -> tuple[str, str]:
    """("roads", SHA-256) of what determines the pictures; the data root is not needed."""
    del root
    return synthetic_hash(INFO, REVISION)
