"""Batches for training and evaluation: a pure function of (seed, iteration), whatever reads them.

All of a split lies on the device when that is a GPU with room for it; else it is a memory map. What a batch
holds is sent there without the host waiting for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import datasets
from architectures.architecture_info import WHOLE, Reach
from datasets.cache import RaggedLabels, nearest_exact_indices, open_split, padded, padded_size
from harness.config.protocol import Protocol
from harness.config.run_spec import RandomStream
from harness.data.augmentation import (
    Augmented,
    as_drawn,
    augments,
    colored,
    draw,
    window_of_images,
    window_of_labels,
)
from harness.data.preprocessing import Normalize, padded_reach
from harness.system.errors import UserError

STRETCH = 20  # iterations whose batches are sent to the device in one copy
GPU_SHARE = 0.25  # of a GPU's free memory that one of a split's two arrays may take
_AT_ONCE = 64 << 20  # bytes that are copied to a GPU at once

Indices = NDArray[np.int64] | Tensor


def open_trained(name: str, split: str, data_root: str | None, content: str, whose: str) -> datasets.Dataset:
    """A split of the data that something was trained on.

    Args:
        name: of the dataset.
        split: its name.
        data_root: folder that holds the dataset.
        content: the hash that its content had.
        whose: what was trained on it, as a message names it.

    Raises:
        UserError: it is another edition; datasets.DatasetError: it can't be read.
    """
    dataset = datasets.load(name, split, data_root)
    if dataset.content_hash != content:
        raise UserError(
            f"{name} in {data_root} is not what {whose} was trained on: its content is {dataset.content_hash[:12]}, "
            f"there it was {content[:12]}; name the data root of the run"
        )
    return dataset


def batch_indices(seed: int, iteration: int, batch: int, images: int) -> NDArray[np.int64]:
    """Which images the batch of an iteration (from 0) holds, (batch,).

    Epochs are reshuffled and strung together; batches run over their ends, as Caffe's data layer has it.
    """
    positions = np.arange(iteration * batch, (iteration + 1) * batch)
    orders = {
        int(epoch): np.random.default_rng((RandomStream.ORDER, seed, int(epoch))).permutation(images)
        for epoch in np.unique(positions // images)
    }
    chosen = [orders[int(position // images)][position % images] for position in positions]
    return np.asarray(chosen, dtype=np.int64)


def flips(seed: int, iteration: int, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which images of a batch are mirrored: drawn from (seed, iteration, index)."""
    draws = [np.random.default_rng((RandomStream.FLIP, seed, iteration, int(i))).random() < 0.5 for i in indices]
    return np.asarray(draws, dtype=bool)


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array on the device. A GPU copies it from pinned memory while the host goes on."""
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def on_gpu(array: NDArray[np.uint8], device: torch.device) -> NDArray[np.uint8] | Tensor:
    """The array on a GPU that has room for it, copied in parts; else as it is."""
    if device.type != "cuda" or array.nbytes > GPU_SHARE * torch.cuda.mem_get_info(device)[0]:
        return array
    tensor = torch.empty(array.shape, dtype=torch.uint8, device=device)
    step = max(1, _AT_ONCE * len(array) // max(1, array.nbytes))
    for start in range(0, len(array), step):
        tensor[start : start + step] = torch.from_numpy(np.array(array[start : start + step])).to(device)
    return tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Which images a training batch holds, on the device.

    indices: (B,) int64.
    mirrored: (B,) bool; none where the protocol mirrors nothing.
    augmented: how they are changed further; none where the protocol changes nothing.
    """

    indices: Tensor
    mirrored: Tensor | None
    augmented: Augmented | None = None


class BatchSampler:
    """The batches of a run, sent to the device a stretch of iterations at a time.

    Args:
        protocol: gives the batch size, and whether images are mirrored.
        seed: of the run.
        images: in the training split.
        device: where batches are wanted.
        part: of each batch, that is wanted here; drawn is the whole of it.
    """

    def __init__(
        self,
        protocol: Protocol,
        seed: int,
        images: int,
        device: torch.device,
        part: slice = slice(None),
    ) -> None:
        self._protocol = protocol
        self._seed = seed
        self._images = images
        self._device = device
        self._part = part
        self._start = 0
        self._indices = self._mirrored = self._drawn = torch.empty(0)

    def at(self, iteration: int) -> Batch:
        """The batch of an iteration, from 0."""
        place = iteration - self._start
        if not 0 <= place < len(self._indices):
            self._send(iteration)
            place = 0
        own = (place, self._part)
        mirrored = self._mirrored[own] if self._protocol.hflip else None
        augmented = as_drawn(self._protocol, self._drawn[own]) if augments(self._protocol) else None
        return Batch(indices=self._indices[own], mirrored=mirrored, augmented=augmented)

    def _send(self, start: int) -> None:
        iterations = range(start, start + STRETCH)
        chosen = [batch_indices(self._seed, i, self._protocol.batch_size, self._images) for i in iterations]
        drawn = [
            flips(self._seed, i, indices) if self._protocol.hflip else np.zeros_like(indices)
            for i, indices in zip(iterations, chosen, strict=True)
        ]
        both = sent(np.stack([np.stack(chosen), np.stack(drawn)]), self._device)  # (2, STRETCH, B) int64
        self._start, self._indices, self._mirrored = start, both[0], both[1] != 0
        if augments(self._protocol):
            stretch = [
                draw(self._protocol, self._seed, i, list(indices))
                for i, indices in zip(iterations, chosen, strict=True)
            ]
            self._drawn = sent(np.stack(stretch), self._device)  # (STRETCH, B, 6)


def _mirrored(maps: Tensor, chosen: Tensor) -> Tensor:
    """The maps (B, H, W, ...), those chosen (B,) mirrored left to right."""
    return torch.where(chosen.view(-1, *([1] * (maps.dim() - 1))), maps.flip(2), maps)


class DeviceDataset:
    """One split, ready to be cut into batches.

    Args:
        dataset: the split.
        protocol: gives input size and scaling.
        cache: folder of the decoded copies.
        device: where batches are wanted.
    """

    def __init__(self, dataset: datasets.Dataset, protocol: Protocol, cache: Path, device: torch.device) -> None:
        stored = open_split(dataset, protocol.size, cache, padding=protocol.padding)
        self.image_ids: Sequence[str] = stored.image_ids
        self.device = device
        self.full_size = dataset.info.size
        self._host_labels: NDArray[np.uint8] | RaggedLabels = stored.labels
        self._images: NDArray[np.uint8] | Tensor = on_gpu(stored.images, device)
        self._labels: NDArray[np.uint8] | Tensor | None = None
        self._protocol = protocol
        if not isinstance(stored.labels, RaggedLabels) and self.reach(stored.labels.shape[1:]) == WHOLE:
            self._labels = on_gpu(stored.labels, device)
        self._normalize = Normalize(protocol, device)
        self._centers: dict[tuple[int, int, Fraction], Tensor] = {}

    def __len__(self) -> int:
        return len(self._images)

    @property
    def input_size(self) -> tuple[int, int]:
        """Size of the images (h, w), as the network gets them."""
        height, width = self._images.shape[1:3]
        return int(height), int(width)

    def reach(self, full: tuple[int, ...], reach: Reach = WHOLE) -> Reach:
        """How far logits that reach so far over the input reach over an image whose label is of `full` (H, W)."""
        return padded_reach((full[0], full[1]), self.input_size, self._protocol, reach)

    @property
    def label_size(self) -> tuple[int, int] | None:
        """Full size of all labels (H, W), at which scores are taken; none where each has its own, or is padded."""
        if self._labels is None:
            return None
        height, width = self._labels.shape[1:]
        return int(height), int(width)

    def class_pixels(self, num_classes: int) -> NDArray[np.int64]:
        """Labeled pixels of each class in each image, (N, K)."""
        labels = (self._host_labels[index] for index in range(len(self)))
        counts = [np.bincount(label.ravel(), minlength=256)[:num_classes] for label in labels]
        return np.stack(counts).astype(np.int64)

    def areas(self) -> NDArray[np.int64]:
        """Pixels of each label, void ones too, (N,)."""
        return np.asarray([self._host_labels[index].size for index in range(len(self))], dtype=np.int64)

    def images(self, indices: Indices, mirrored: Tensor | None = None, augmented: Augmented | None = None) -> Tensor:
        """Network input (B, 3, h, w), float32: (RGB - mean) / std, normalized further as the protocol says.

        Channels-last on a GPU.
        """
        pixels = self._take(self._images, indices)
        if mirrored is not None:
            pixels = _mirrored(pixels, mirrored)
        if augmented is not None and augmented.colors is not None:
            pixels = colored(pixels.float(), augmented.colors)
        images = self._normalize(pixels).permute(0, 3, 1, 2)  # (B, h, w, 3) in memory is channels-last already
        if augmented is not None and augmented.windows is not None:
            images = window_of_images(images, augmented.windows)
            if self.device.type == "cuda":
                images = images.contiguous(memory_format=torch.channels_last)
        return images if self.device.type == "cuda" else images.contiguous()

    def labels(self, indices: Indices) -> Tensor:
        """Labels (B, H, W), uint8, at full size, void 255; only where `label_size` is that of all."""
        assert self._labels is not None
        return self._take(self._labels, indices)

    def host_labels(self, indices: NDArray[np.int64]) -> list[NDArray[np.uint8]]:
        """Each label (H, W) in the host's memory, whatever the device and the sizes."""
        return [self._host_labels[int(index)] for index in indices]

    def targets(
        self,
        indices: Indices,
        size: tuple[int, int],
        mirrored: Tensor | None = None,
        augmented: Augmented | None = None,
        reach: Reach = WHOLE,
    ) -> Tensor:
        """Labels (B, h, w), int64, taken where upsampled logits of that size have their cell centers.

        With align_corners=False cell i of n has its center at (i + 1/2) * N/n - 1/2 of the full label;
        the nearest pixel's index is floor((i + 1/2) * N/n) ("nearest-exact"). Logits that reach over the
        image have it at (i + 1/2) * reach * N/n - 1/2.
        """
        if self._labels is None:
            return self._ragged_targets(indices, size, mirrored, augmented, reach)
        full = self.labels(indices)
        if mirrored is not None:
            full = _mirrored(full, mirrored)
        if augmented is not None and augmented.windows is not None:
            return window_of_labels(full, augmented.windows, size, reach).long()
        for axis, (wanted, part) in enumerate(zip(size, reach, strict=True), start=1):
            if (whole := full.shape[axis]) != wanted or part != 1:
                full = full.index_select(axis, self._cell_centers(whole, wanted, part))
        return full.long()

    def _ragged_targets(
        self,
        indices: Indices,
        size: tuple[int, int],
        mirrored: Tensor | None,
        augmented: Augmented | None,
        reach: Reach,
    ) -> Tensor:
        """The same of labels of several sizes or padded with void, taken on the host one by one."""
        chosen = indices.cpu().numpy() if isinstance(indices, Tensor) else indices
        flip = [False] * len(chosen) if mirrored is None else mirrored.tolist()
        windows = None if augmented is None or augmented.windows is None else augmented.windows.cpu()
        maps = []
        for place, label in enumerate(self.host_labels(chosen)):
            if self._protocol.padding is not None:
                label = padded(label, padded_size((label.shape[0], label.shape[1]), self.input_size), datasets.VOID)
            label = label[:, ::-1] if flip[place] else label
            if windows is not None:
                whole = torch.from_numpy(np.array(label))[None]
                maps.append(window_of_labels(whole, windows[place : place + 1], size, reach)[0].numpy())
            else:
                rows, columns = map(nearest_exact_indices, label.shape, size, reach)
                maps.append(label[rows[:, None], columns])
        return sent(np.stack(maps), self.device).long()

    def _cell_centers(self, whole: int, wanted: int, reach: Fraction) -> Tensor:
        key = (whole, wanted, reach)
        if key not in self._centers:
            self._centers[key] = sent(nearest_exact_indices(*key), self.device)
        return self._centers[key]

    def _take(self, source: NDArray[np.uint8] | Tensor, indices: Indices) -> Tensor:
        if isinstance(source, Tensor):
            return source[indices if isinstance(indices, Tensor) else sent(indices, self.device)]
        chosen = indices.cpu() if isinstance(indices, Tensor) else indices
        return sent(source[np.asarray(chosen)], self.device)

    def in_order(
        self, batch: int, wrap: bool = False, order: NDArray[np.int64] | None = None
    ) -> Iterator[NDArray[np.int64]]:
        """Indices of the whole split in order, `batch` at a time.

        Args:
            batch: images a batch.
            wrap: fill the last batch from the start, so that all are of one size.
            order: the order, a permutation of all indices; none: that of the split.
        """
        count = len(self)
        order = np.arange(count) if order is None else order
        for start in range(0, count, batch):
            chosen = np.arange(start, start + batch)
            yield order[chosen % count if wrap else chosen[chosen < count]]
