"""A small CamVid, sound but for what a test does to it."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.processes import NETWORK

SIZE = (360, 480)


def write_camvid(root: Path, image_ids: tuple[str, ...] = ("a", "b")) -> Path:
    """A folder CamVid under `root` with these images in each split, of noise; gives the folder."""
    random = np.random.default_rng(0)
    folder = root / "CamVid"
    for split in ("train", "val", "test"):
        for name, shape, top in ((split, (*SIZE, 3), 256), (f"{split}annot", SIZE, 12)):
            (folder / name).mkdir(parents=True)
            for stem in image_ids:
                pixels = random.integers(0, top, shape).astype(np.uint8)
                Image.fromarray(pixels).save(folder / name / f"{stem}.png", compress_level=1)
    return folder


def camvid_run(root: Path, *more: str) -> list[str]:
    """Arguments of a run of seconds on it."""
    places = ["--suite", "camvid", "--data-root", str(root), "--encoder-weights", "none"]
    small = ["--size", "24x32", "--iterations", "2", "--override", "batch_size=2", "--device", "cpu"]
    return ["run", NETWORK, *places, *small, "--threads", "1", "--no-measure", "--no-report", *more]
