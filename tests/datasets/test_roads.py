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
from datasets.roads.canvas import BICYCLIST, CAR, COLUMNS, FENCE, POLE, ROWS, Camera, Canvas, box, polygon
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


def test_shares_of_some_pictures() -> None:
    labels = np.stack([datasets.load("roads", "val")[k][1] for k in range(12)])
    assert set(np.unique(labels)) == {*range(11), VOID}
    shares = np.bincount(labels.reshape(-1), minlength=256) / labels.size
    assert 0.2 < shares[CLASSES.index("Road")] < 0.45
    assert 0.1 < shares[CLASSES.index("Building")] < 0.4
    assert 0.01 < shares[VOID] < 0.1


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
    train = [datasets.load("roads", "train")[k] for k in range(12)]
    test = [datasets.load("roads", "test")[k] for k in range(8)]
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


def test_polygon_by_hand() -> None:
    square = polygon(np.array([(1.0, 1.0), (4.0, 1.0), (4.0, 3.0), (1.0, 3.0)]))
    assert square is not None
    assert (square.rows, square.columns) == (slice(1, 3), slice(1, 4))
    assert square.mask.all()
    triangle = polygon(np.array([(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]))
    assert triangle is not None
    assert triangle.mask.sum(axis=1).tolist() == [3, 2, 1, 0]
    assert polygon(np.array([(-9.0, 0.0), (-1.0, 0.0), (-1.0, 5.0)])) is None
    outer = [(0.0, 0.0), (6.0, 0.0), (6.0, 6.0), (0.0, 6.0), (0.0, 0.0)]
    inner = [(2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0), (2.0, 2.0)]
    ring = polygon(np.array(outer + inner))
    assert ring is not None
    assert int(ring.mask.sum()) == 36 - 4


def test_polygons_share_no_pixel_and_leave_no_gap() -> None:
    """Two triangles of a cut square: each pixel belongs to one of them."""
    a, b, c, d = (3.3, 2.1), (40.7, 5.9), (37.2, 31.4), (1.8, 28.6)
    total = np.zeros((ROWS, COLUMNS), int)
    for corners in ((a, b, c), (a, c, d)):
        region = polygon(np.array(corners))
        assert region is not None
        total[region.rows, region.columns] += region.mask
    whole = polygon(np.array([a, b, c, d]))
    assert whole is not None
    expected = np.zeros_like(total)
    expected[whole.rows, whole.columns] += whole.mask
    assert np.array_equal(total, expected)


def test_nearer_things_hide_farther_ones() -> None:
    canvas = Canvas()
    square = np.array([(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)])
    canvas.fill(square, (1.0, 0.0, 0.0), CAR, 5.0)
    canvas.fill(square + 4.0, (0.0, 1.0, 0.0), FENCE, 9.0)
    canvas.fill(square - 4.0, None, BICYCLIST, 2.0)
    assert canvas.label[18, 18] == CAR
    assert canvas.label[22, 22] == FENCE
    assert canvas.label[12, 12] == BICYCLIST
    assert canvas.picture[:, 12, 12].tolist() == [1.0, 0.0, 0.0]  # a label without a color
    canvas.darken(square, 0.5, 3.0)
    assert canvas.picture[:, 18, 18].tolist() == [0.5, 0.0, 0.0]
    area = box(30.0, 30.0, 32.0, 32.0)
    assert area == (slice(30, 32), slice(30, 32))
    canvas.fill(np.array([(30.0, 30.0), (32.0, 30.0), (32.0, 32.0), (30.0, 32.0)]), (0.0, 0.0, 1.0), POLE, 1.0)
    assert (canvas.label == POLE).sum() == 4


def test_camera_and_ground_agree() -> None:
    """A ground point seen in a pixel projects back into that pixel."""
    camera = Camera(focal_px=430.0, horizon_px=150.5, center_px=231.0, height_m=1.4, offset_m=-1.5, bend=0.004)
    ahead, side = camera.ground(camera.first_ground_row)
    for row, column in ((30, 17), (90, 240), (200, 470)):
        z = float(ahead[row, 0])
        x, y = camera.project(float(side[row, column]), 0.0, z)[0]
        assert abs(x - column - 0.5) < 0.02
        assert abs(y - camera.first_ground_row - row - 0.5) < 0.02
