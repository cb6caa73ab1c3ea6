"""What the metrics cost an image of 360 x 480 with 11 classes, on one core.

Needs no data: the labels are regions of smooth noise, with about as many boundary pixels as CamVid's have.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.ndimage import gaussian_filter

from harness.metrics import ImageScores, bootstrap, boundary_f1, confusion_matrix

CLASSES = 11
SIZE = (360, 480)


def scene(seed: int) -> np.ndarray:
    """A label (360, 480): regions of smooth noise, void along one side."""
    rng = np.random.default_rng(seed)
    noise = [gaussian_filter(rng.standard_normal(SIZE), 26) for _ in range(CLASSES)]
    label: np.ndarray = np.argmax(noise, axis=0).astype(np.uint8)
    label[:, :6] = 255
    return label


def predicted(kind: str) -> np.ndarray:
    label = np.where(scene(0) == 255, 0, scene(0)).astype(np.uint8)
    rng = np.random.default_rng(1)
    if kind == "moved":
        return np.roll(label, (5, 4), axis=(0, 1))
    if kind == "eighth":
        return label[4::8, 4::8].repeat(8, axis=0).repeat(8, axis=1)
    return rng.integers(0, CLASSES, SIZE).astype(np.uint8)


def test_confusion_matrix(benchmark: BenchmarkFixture) -> None:
    matrix = benchmark(confusion_matrix, predicted("moved"), scene(0), CLASSES)
    assert matrix.sum() == np.count_nonzero(scene(0) != 255)


@pytest.mark.parametrize("kind", ["moved", "eighth", "noise"])
def test_boundary_f1(benchmark: BenchmarkFixture, kind: str) -> None:
    per_class = benchmark(boundary_f1, predicted(kind), scene(0), CLASSES)
    assert np.isfinite(per_class).all()


def test_bootstrap_of_camvid_size(benchmark: BenchmarkFixture) -> None:
    rng = np.random.default_rng(0)
    run = ImageScores.of(matrices=rng.integers(1, 10_000, (233, CLASSES, CLASSES)), bf=rng.random((233, CLASSES)))
    intervals = benchmark(bootstrap, run)
    assert intervals.miou.low < intervals.miou.estimate < intervals.miou.high
