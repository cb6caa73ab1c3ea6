"""Scoring a split against the metrics taken image by image, and what stays on the device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import datasets
from architectures.architecture_info import WHOLE, Reach
from harness.data.split import DeviceDataset
from harness.metrics import confusion_matrix
from harness.metrics.boundary_f1 import boundary_f1
from harness.training import evaluator
from harness.training.evaluator import SplitScores, evaluate, image_matrices
from tests.harness.helpers import tiny_protocol

CLASSES = 3
SIZE = (6, 8)


class _Split:
    """Stands in for DeviceDataset: images whose first channels are the logits that the network shall give."""

    device = torch.device("cpu")
    label_size = SIZE

    def __init__(self, images: int) -> None:
        rng = np.random.default_rng(0)
        self.logits = rng.standard_normal((images, CLASSES, *SIZE)).astype(np.float32)
        self.truth = rng.integers(0, CLASSES + 1, (images, *SIZE)).astype(np.uint8)
        self.truth[self.truth == CLASSES] = 255

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def predictions(self) -> NDArray[np.uint8]:
        return self.logits.argmax(1).astype(np.uint8)

    def reach(self, full: tuple[int, ...], reach: Reach = WHOLE) -> Reach:
        return reach

    def images(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.logits[indices])

    def labels(self, indices: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.truth[indices])

    def host_labels(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.truth[indices]

    def in_order(self, batch: int) -> Iterator[NDArray[np.int64]]:
        for start in range(0, len(self.truth), batch):
            yield np.arange(start, min(start + batch, len(self.truth)))


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
@pytest.mark.parametrize("boundary", [False, True])
def test_scores_are_those_of_each_image_by_itself(batch: int, boundary: bool) -> None:
    split = _Split(5)
    done: list[int] = []
    found = _score(split, batch=batch, boundary=boundary, keep={1, 4}, on_batch=done.append)
    assert sum(done) == 5
    assert found.matrices.dtype == np.int32
    for n, (one, other) in enumerate(zip(split.predictions, split.truth, strict=True)):
        assert np.array_equal(found.matrices[n], confusion_matrix(one, other, CLASSES))
        if found.boundary is not None:
            np.testing.assert_array_equal(found.boundary[n], boundary_f1(one, other, CLASSES))
    assert (found.boundary is not None) == boundary
    assert sorted(found.predictions) == [1, 4]
    assert all(np.array_equal(found.predictions[n], split.predictions[n]) for n in (1, 4))


@pytest.mark.parametrize("size", [SIZE, None])
def test_of_too_many_matrices_the_pixels_of_each_class_are_kept(
    size: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = _Split(5)
    split.label_size = size
    whole = _score(split, batch=2)
    monkeypatch.setattr(evaluator, "MOST_CELLS", 5 * CLASSES**2 - 1)
    found = _score(split, batch=2, boundary=True)
    assert found.matrices is None and found.arrays().keys() == {"pixels", "matrix", "bf"}
    assert np.array_equal(found.counts.matrix, whole.matrices.sum(0)) and found.counts.matrix.dtype == np.int64
    assert np.array_equal(found.counts.pixels, whole.counts.pixels) and found.counts.pixels.dtype == np.int32
    for image, matrix in zip(found.counts.pixels, whole.matrices, strict=True):
        assert image.tolist() == [matrix.diagonal().tolist(), matrix.sum(1).tolist(), matrix.sum(0).tolist()]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_logit_that_is_not_finite_is_noticed(value: float) -> None:
    split = _Split(5)
    assert _score(split).finite
    split.logits[3, 1, 2, 5] = value
    assert not _score(split).finite


def _score(split: _Split, batch: int = 2, **further: Any) -> SplitScores:
    return evaluate(nn.Identity(), split, num_classes=CLASSES, batch=batch, precision="fp32", **further)  # type: ignore[arg-type]


def test_a_matrix_by_hand() -> None:
    labels = torch.tensor([[[0, 1], [1, 255]], [[255, 255], [255, 255]]], dtype=torch.uint8)
    predictions = torch.tensor([[[0, 0], [1, 1]], [[0, 1], [0, 1]]], dtype=torch.uint8)
    assert image_matrices(predictions, labels, 2).tolist() == [[[1, 0], [1, 1]], [[0, 0], [0, 0]]]


def test_the_highest_class_and_the_first_of_the_next_image_stay_apart() -> None:
    classes = 37
    labels = torch.full((2, 1, 3), classes - 1, dtype=torch.uint8)
    found = image_matrices(labels, labels, classes)
    assert found.sum() == 6
    assert found[0, -1, -1] == found[1, -1, -1] == 3


@pytest.mark.gpu
def test_on_a_gpu_scores_are_the_same_and_the_host_waits_but_once(drawn_cache: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    dataset = datasets.load("roads", "val")
    torch.manual_seed(0)
    network = nn.Conv2d(3, 11, 1)
    found = []
    for name in ("cpu", "cuda"):
        data = DeviceDataset(dataset, tiny_protocol(), drawn_cache, torch.device(name))
        network.to(name)
        found.append(evaluate(network, data, num_classes=11, batch=4, precision="fp32", keep={2}))
    shares = [split.matrices.sum(0) / split.matrices.sum() for split in found]
    assert np.abs(shares[0] - shares[1]).max() < 1e-3  # rounding may turn a few pixels
    assert np.mean(found[0].predictions[2] == found[1].predictions[2]) > 0.99
    labels = data.labels(np.arange(4))
    predicted = labels.clamp(max=10)
    torch.cuda.set_sync_debug_mode("error")
    try:
        data.images(np.arange(4))
        image_matrices(predicted, data.labels(np.arange(4)), 11)
    finally:
        torch.cuda.set_sync_debug_mode("default")
