"""Hand-made CamVid folders, and where the real one lies."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeCamVid = Callable[..., Path]
COUNTS = {"train": 4, "val": 2, "test": 3}


def write_camvid(
    root: Path,
    size: tuple[int, int] = (9, 12),
    image_suffix: str = ".png",
    stem: str = "{split}_{k}",
    lists: bool = True,
) -> Path:
    """A small folder CamVid under `root`, of random pictures that are always the same; gives the folder."""
    rng = np.random.default_rng(7)
    folder = root / "CamVid"
    for split, count in COUNTS.items():
        (folder / split).mkdir(parents=True)
        (folder / f"{split}annot").mkdir()
        lines = []
        for k in range(count):
            name = stem.format(split=split, k=k)
            image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
            image.save(folder / split / f"{name}{image_suffix}")
            label = rng.integers(0, 12, size, dtype=np.uint8)
            Image.fromarray(label).save(folder / f"{split}annot" / f"{name}.png")
            lines.append(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png")
        if lists:
            # The lists give another order than the image_ids, so that a test can tell which one was used.
            (folder / f"{split}.txt").write_text("\n".join(reversed(lines)) + "\n", "utf-8")
    return folder


@pytest.fixture
def make_camvid(tmp_path: Path) -> MakeCamVid:
    """Writes a small CamVid under tmp_path / "data" and gives its folder."""

    def make(**how: object) -> Path:
        return write_camvid(tmp_path / "data", **how)  # type: ignore[arg-type]

    return make


@pytest.fixture
def camvid_root(shared: Path) -> Path:
    """The data root of the real CamVid."""
    return shared / "data"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of folders of own data lies in a test's own place."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
