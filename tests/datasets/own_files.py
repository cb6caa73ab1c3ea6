"""Small folders of own data, in the layouts that people have."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import DatasetError
from datasets.folder import read_folder

SIZE = (12, 16)
BY_SPLIT = ("{split}/images/{name}.png", "{split}/masks/{name}.png")
CLASSES = 'classes = ["sky", "road", "car"]\n'


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """An image (H, W, 3) like no other."""
    return np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)


def label(number: int, size: tuple[int, int] = SIZE, values: Sequence[int] = (0, 1, 2, 255)) -> np.ndarray:
    """A label (H, W) that holds all these values."""
    rows = np.random.default_rng(1000 + number).permutation(size[0] * size[1]) % len(values)
    return np.asarray(values, np.uint8)[rows.reshape(size)]


def save(path: Path, pixels: np.ndarray) -> Path:
    """A picture file of an array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_flat(
    folder: Path, count: int = 10, values: Sequence[int] = (0, 1, 2, 255), sizes: Sequence[tuple[int, int]] = (SIZE,)
) -> Path:
    """images/ and masks/ without a split; gives the folder."""
    for number in range(count):
        size = sizes[number % len(sizes)]
        save(folder / "images" / f"p{number:02d}.png", picture(number, size))
        save(folder / "masks" / f"p{number:02d}.png", label(number, size, values))
    return folder


def write_splits(folder: Path, image: str, mask: str, count: int = 2) -> Path:
    """Files of three splits by these paths, in which {split} and {name} are put; gives the folder."""
    for place, split in enumerate(("train", "val", "test")):
        for number in range(count):
            words = {"split": split, "name": f"{split}{number}"}
            save(folder / image.format(**words), picture(10 * place + number))
            save(folder / mask.format(**words), label(10 * place + number))
    return folder


def rename_pair(folder: Path, old: str, new: str) -> None:
    """Give an image of `write_flat` and its label another name."""
    for kind in ("images", "masks"):
        (folder / kind / f"{old}.png").rename(folder / kind / f"{new}.png")


def write_lists(folder: Path, **lines: str) -> None:
    """Lists of splits: `{split}.txt`."""
    for split, text in lines.items():
        (folder / f"{split}.txt").write_text(text, "utf-8")


def ids(folder: Path) -> dict[str, tuple[str, ...]]:
    """The images' names, a split each."""
    return {split: datasets.load(f"folder:{folder}", split).image_ids for split in datasets.SPLITS}


def problems(folder: Path) -> dict[str, tuple[str, ...]]:
    """What is wrong with a folder, by kind."""
    return dict(read_folder(folder).problems)


def line_of(refused: Callable[[], object]) -> str:
    """The line that something is refused with."""
    with pytest.raises(DatasetError) as caught:
        refused()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refusal(folder: Path) -> str:
    """The line that a folder is refused with."""
    return line_of(lambda: datasets.load(f"folder:{folder}", "train"))


def class_of(folder: Path, split: str = "train", index: int = 0) -> list[list[int]]:
    """The classes (H, W) of a label."""
    found: list[list[int]] = datasets.load(f"folder:{folder}", split)[index][1].tolist()
    return found
