"""Batches: the order, the mirroring and where targets are taken, worked out by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import datasets
from harness.config.protocol import load_protocol
from harness.data.split import STRETCH, BatchSampler, DeviceDataset, batch_indices, flips
from tests.harness.helpers import tiny_protocol


@pytest.fixture(scope="module")
def data(drawn_cache: Path) -> DeviceDataset:
    protocol = tiny_protocol(standardize="false")
    return DeviceDataset(datasets.load("roads", "val"), protocol, drawn_cache, torch.device("cpu"))


def test_each_image_comes_once_an_epoch_and_batches_run_over_its_end() -> None:
    stream = np.concatenate([batch_indices(3, i, 5, 7) for i in range(14)])  # 70 = 10 epochs of 7
    epochs = stream.reshape(10, 7)
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 5
    assert not np.array_equal(stream, np.concatenate([batch_indices(4, i, 5, 7) for i in range(14)]))


def test_a_batch_larger_than_the_split_spans_epochs() -> None:
    assert sorted(batch_indices(0, 0, 6, 3)) == [0, 0, 1, 1, 2, 2]


def test_mirroring_depends_on_seed_iteration_and_index_alone() -> None:
    indices = np.arange(400)
    first = flips(0, 7, indices)
    assert 150 < first.sum() < 250
    assert np.array_equal(first[::-1], flips(0, 7, indices[::-1]))
    assert not np.array_equal(first, flips(0, 8, indices))
    assert not np.array_equal(first, flips(1, 7, indices))


@pytest.mark.parametrize("flip", ["true", "false"])
def test_the_stream_holds_each_iteration_s_batch_wherever_it_is_entered(flip: str) -> None:
    protocol = tiny_protocol(batch_size="3", hflip=flip)
    stream = BatchSampler(protocol, 5, 7, torch.device("cpu"))
    mirrored = 0
    for iteration in (0, 1, STRETCH - 1, STRETCH, 3 * STRETCH + 7, 3 * STRETCH + 8, 2):
        batch = stream.at(iteration)
        indices = batch_indices(5, iteration, 3, 7)
        assert batch.indices.tolist() == indices.tolist()
        if flip == "false":
            assert batch.mirrored is None
        else:
            assert batch.mirrored is not None and batch.mirrored.dtype == torch.bool
            assert batch.mirrored.tolist() == flips(5, iteration, indices).tolist()
            mirrored += int(batch.mirrored.sum())
    assert flip == "false" or 0 < mirrored < 21


def test_batches_are_the_same_from_tensors_as_from_arrays(data: DeviceDataset) -> None:
    indices = np.array([3, 1])
    assert torch.equal(data.images(torch.from_numpy(indices)), data.images(indices))
    one, other = (data.targets(i, (32, 40)) for i in (torch.from_numpy(indices), indices))
    assert torch.equal(one, other)
    assert np.array_equal(data.host_labels(indices), data.labels(indices).numpy())


def test_input_is_scaled_rgb(data: DeviceDataset) -> None:
    batch = data.images(np.array([2, 0]))
    assert batch.shape == (2, 3, 32, 40)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous()  # on a CPU; channels-last on a GPU
    pixel = np.asarray(data._images)[2, 5, 6].astype(np.float64)  # type: ignore[index]
    expected = (pixel - (123.68, 116.779, 103.939)) / 58
    assert batch[0, :, 5, 6].numpy() == pytest.approx(expected, abs=1e-5)


def test_standardized_input_has_mean_0_and_deviation_1_in_each_channel(data: DeviceDataset, drawn_cache: Path) -> None:
    protocol = tiny_protocol(standardize="true")
    other = DeviceDataset(datasets.load("roads", "val"), protocol, drawn_cache, torch.device("cpu"))
    batch, plain = other.images(np.array([2, 0])), data.images(np.array([2, 0]))
    assert batch.mean((2, 3)).abs().max() < 1e-5
    assert batch.std((2, 3)).numpy() == pytest.approx(np.ones((2, 3)), abs=1e-4)
    assert torch.corrcoef(torch.stack([batch[1, 0].flatten(), plain[1, 0].flatten()]))[0, 1] > 0.9999


def test_local_response_is_torch_s_layer_on_grey_values(data: DeviceDataset, drawn_cache: Path) -> None:
    protocol = load_protocol("decoders@2").override({"size": "32x40"})
    other = DeviceDataset(datasets.load("roads", "val"), protocol, drawn_cache, torch.device("cpu"))
    batch = other.images(np.array([2, 0]))
    gray = torch.from_numpy(np.asarray(data._images)[[2, 0]]).permute(0, 3, 1, 2).float()
    expected = torch.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)(gray)
    torch.testing.assert_close(batch, expected)
    assert batch.min() >= 0 and batch.max() > 40


def test_class_pixels_are_counted_by_image(data: DeviceDataset) -> None:
    counts = data.class_pixels(11)
    labels = data.labels(np.arange(len(data))).numpy()
    assert counts.shape == (len(data), 11)
    assert counts.tolist() == [[int((label == k).sum()) for k in range(11)] for label in labels]


def test_targets_are_taken_at_cell_centers(data: DeviceDataset) -> None:
    full = data.labels(np.array([1]))[0]
    height, width = data.label_size
    target = data.targets(np.array([1]), (32, 40))[0]
    for i, j in ((0, 0), (31, 39), (10, 21)):
        row, column = int((i + 0.5) * height / 32), int((j + 0.5) * width / 40)
        assert target[i, j] == full[row, column]
    assert torch.equal(data.targets(np.array([1]), data.label_size)[0], full.long())


def test_image_and_target_are_mirrored_together(data: DeviceDataset) -> None:
    indices, mirrored = np.array([0, 1]), torch.tensor([True, False])
    plain, flipped = data.images(indices), data.images(indices, mirrored)
    assert torch.equal(flipped[0], plain[0].flip(2))
    assert torch.equal(flipped[1], plain[1])
    whole = data.targets(indices, data.label_size, mirrored)
    assert torch.equal(whole[0], data.labels(indices)[0].long().flip(1))
    assert torch.equal(whole[1], data.labels(indices)[1].long())


def _all(batches: Sequence[np.ndarray]) -> list[int]:
    return [int(i) for batch in batches for i in batch]


def test_a_split_is_read_in_order_with_or_without_a_full_last_batch(data: DeviceDataset) -> None:
    count = len(data)
    plain = list(data.in_order(7))
    assert _all(plain) == list(range(count))
    wrapped = list(data.in_order(7, wrap=True))
    assert all(len(batch) == 7 for batch in wrapped)
    assert _all(wrapped)[:count] == list(range(count))
    assert _all(wrapped)[count:] == list(range(-count % 7))
