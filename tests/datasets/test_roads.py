"""The drawn road scenes: always the same, of plausible shares, and no class told by its color alone."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import SPLITS, VOID
from datasets.roads.scene import REVISION, draw_scene

GOLDEN = Path(__file__).with_name("golden_roads.json")
CLASSES = datasets.info("roads").classes


def blocks(image: np.ndarray) -> np.ndarray:
    """Mean colors (3, 4, 3) of a picture's 60 x 60 blocks."""
    means: np.ndarray = image.reshape(3, 60, 4, 60, 3).mean(axis=(1, 3))
    return means


def test_golden_pictures() -> None:
    """Labels are the same to the pixel on every machine, pictures to rounding (gaussian noise calls libm)."""
    golden = json.loads(GOLDEN.read_text())
    assert golden["revision"] == REVISION, "a new revision needs new golden values"
    for entry in golden["pictures"]:
        image, label = datasets.load("roads", entry["split"])[entry["index"]]
        assert hashlib.sha256(label.tobytes()).hexdigest() == entry["label_sha256"]
        assert np.abs(blocks(image) - np.array(entry["block_means"])).max() < 0.1


def test_items() -> None:
    for split, count in {"train": 160, "val": 40, "test": 60}.items():
        dataset = datasets.load("roads", split)
        assert len(dataset) == len(set(dataset.image_ids)) == count
        assert dataset.image_ids[1] == f"{split}_001"
        assert (dataset.variant, dataset.content_hash) == datasets.content_hash("roads")
    image, label = dataset[59]
    assert image.shape == (180, 240, 3)
    assert label.shape == (180, 240)
    assert image.dtype == label.dtype == np.uint8
    assert image.flags.c_contiguous
    with pytest.raises(IndexError):
        dataset[60]
    last_image, last_label = dataset[-1]
    assert np.array_equal(image, last_image)
    assert np.array_equal(label, last_label)


def test_same_in_another_process_and_order() -> None:
    dataset = datasets.load("roads", "val")
    here = [hashlib.sha256(b"".join(part.tobytes() for part in dataset[k])).hexdigest() for k in (3, 0)]
    code = (
        "import hashlib, datasets; d = datasets.load('roads', 'val'); "
        "print(*[hashlib.sha256(b''.join(p.tobytes() for p in d[k])).hexdigest() for k in (0, 3)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == here[::-1]


def test_splits_and_indices_differ() -> None:
    pictures = [datasets.load("roads", split)[k][0] for split in SPLITS for k in (0, 1)]
    assert len({picture.tobytes() for picture in pictures}) == 6


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_shares_of_a_split(split: str) -> None:
    """About CamVid's shares but for the cars, and every class in at least a third of the pictures."""
    counts = np.stack([np.bincount(label.reshape(-1), minlength=256) for _, label in datasets.load("roads", split)])
    present = (counts[:, :11] > 0).mean(axis=0)
    assert present.min() > 1 / 3, dict(zip(CLASSES, present, strict=True))
    shares = dict(zip(CLASSES, counts[:, :11].sum(axis=0) / counts.sum(), strict=True))
    bounds = {"Road": (0.2, 0.34), "Building": (0.18, 0.28), "Sky": (0.13, 0.26), "Tree": (0.08, 0.15)}
    bounds |= {"Side-walk": (0.045, 0.09), "Car": (0.05, 0.1)}
    for name, share in shares.items():
        low, high = bounds.get(name, (0.003, 0.025))
        assert low < share < high, (name, share)
    assert 0.02 < counts[:, VOID].sum() / counts.sum() < 0.06


def test_colors_overlap() -> None:
    """The nearest mean color tells less than half of the pixels: color alone solves nothing."""
    train = [datasets.load("roads", "train")[k] for k in range(8)]
    test = [datasets.load("roads", "test")[k] for k in range(4)]
    image, label = (np.concatenate([pair[i].reshape(180 * 240, -1) for pair in train]) for i in (0, 1))
    means = np.stack([image[label[:, 0] == c].mean(axis=0) for c in range(11)])
    right = total = 0
    for picture, truth in test:
        distance = ((picture[:, :, None, :] - means) ** 2).sum(axis=-1)
        right += int((distance.argmin(axis=-1) == truth).sum())
        total += int((truth != VOID).sum())
    assert right / total < 0.5


def test_seeds_far_apart_never_fail() -> None:
    for number in (1, 2**31, 2**63):
        image, label = draw_scene((REVISION, 9, number))
        assert image.std() > 5
        assert len(np.unique(label)) > 5
