"""Batches for training and evaluation: a pure function of (seed, iteration), whatever reads them.

All of a split lies on the device when that is a GPU; on a CPU it is a memory map.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import datasets
from datasets.cache import nearest_exact_indices, open_split
from harness.protocol import Protocol

# Streams of random numbers, so that no two uses draw the same ones.
ORDER_STREAM = 1
FLIP_STREAM = 2


def batch_indices(seed: int, iteration: int, batch: int, images: int) -> NDArray[np.int64]:
    """Which images the batch of an iteration (from 0) holds, (batch,).

    Epochs are reshuffled and strung together; batches run over their ends, as Caffe's data layer has it.
    """
    positions = np.arange(iteration * batch, (iteration + 1) * batch)
    orders = {
        int(epoch): np.random.default_rng((ORDER_STREAM, seed, int(epoch))).permutation(images)
        for epoch in np.unique(positions // images)
    }
    chosen = [orders[int(position // images)][position % images] for position in positions]
    return np.asarray(chosen, dtype=np.int64)


def flips(seed: int, iteration: int, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which images of a batch are mirrored: drawn from (seed, iteration, index)."""
    draws = [np.random.default_rng((FLIP_STREAM, seed, iteration, int(i))).random() < 0.5 for i in indices]
    return np.asarray(draws, dtype=bool)


class SplitData:
    """One split, ready to be cut into batches.

    Args:
        dataset: the split.
        protocol: gives input size and scaling.
        cache: folder of the decoded copies.
        device: where batches are wanted.
    """

    def __init__(
        self, dataset: datasets.Dataset, protocol: Protocol, cache: Path, device: torch.device
    ) -> None:
        stored = open_split(dataset, protocol.size, cache)
        self.stems: Sequence[str] = stored.stems
        self.device = device
        self._images: NDArray[np.uint8] | Tensor = stored.images
        self._labels: NDArray[np.uint8] | Tensor = stored.labels
        if device.type == "cuda":
            self._images = torch.from_numpy(np.array(stored.images)).to(device)
            self._labels = torch.from_numpy(np.array(stored.labels)).to(device)
        self._mean = torch.tensor(protocol.input_mean, device=device)
        self._std = torch.tensor(protocol.input_std, device=device)
        self._standardise = protocol.standardise
        self._local_response = protocol.local_response

    def __len__(self) -> int:
        return len(self._images)

    @property
    def label_size(self) -> tuple[int, int]:
        """Full size of the labels (H, W), at which scores are taken."""
        height, width = self._labels.shape[1:]
        return int(height), int(width)

    def class_pixels(self, num_classes: int) -> NDArray[np.int64]:
        """Labelled pixels of each class in each image, (N, K)."""
        counts = []
        for indices in self.in_order(1):
            labels = self.labels(indices)
            found = torch.bincount(labels[labels < num_classes].long(), minlength=num_classes)
            counts.append(found.cpu().numpy())
        return np.stack(counts)

    def images(self, indices: NDArray[np.int64], mirrored: NDArray[np.bool_] | None = None) -> Tensor:
        """Network input (B, 3, h, w), float32: (RGB - mean) / std, normalised further as the protocol says.

        Channels-last on a GPU.
        """
        pixels = self._take(self._images, indices)
        if mirrored is not None:
            pixels = _mirror(pixels, mirrored)
        scaled = (pixels.float() - self._mean) / self._std
        if self._standardise:
            spread, middle = torch.std_mean(scaled, dim=(1, 2), keepdim=True)
            scaled = (scaled - middle) / spread.clamp(min=1e-3)  # an image of one colour stays 0
        if self._local_response:
            scaled = local_response(scaled)
        images = scaled.permute(0, 3, 1, 2)  # (B, h, w, 3) in memory is channels-last already
        return images if self.device.type == "cuda" else images.contiguous()

    def labels(self, indices: NDArray[np.int64]) -> Tensor:
        """Labels (B, H, W), uint8, at full size, void 255."""
        return self._take(self._labels, indices)

    def targets(
        self, indices: NDArray[np.int64], size: tuple[int, int], mirrored: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Labels (B, h, w), int64, taken where upsampled logits of that size have their cell centres.

        With align_corners=False cell i of n has its centre at (i + 1/2) * N/n - 1/2 of the full label;
        the nearest pixel's index is floor((i + 1/2) * N/n) ("nearest-exact").
        """
        full = self.labels(indices)
        if mirrored is not None:
            full = _mirror(full, mirrored)
        if size != self.label_size:
            for axis, (wanted, whole) in enumerate(zip(size, self.label_size, strict=True), start=1):
                centres = torch.from_numpy(nearest_exact_indices(whole, wanted)).to(self.device)
                full = full.index_select(axis, centres)
        return full.long()

    def _take(self, source: NDArray[np.uint8] | Tensor, indices: NDArray[np.int64]) -> Tensor:
        if isinstance(source, Tensor):
            return source[torch.from_numpy(indices).to(source.device)]
        return torch.from_numpy(source[indices])

    def in_order(self, batch: int, wrap: bool = False) -> Iterator[NDArray[np.int64]]:
        """Indices of the whole split in order, `batch` at a time.

        Args:
            batch: images a batch.
            wrap: fill the last batch from the start of the split, so that all are of one size.
        """
        count = len(self)
        for start in range(0, count, batch):
            chosen = np.arange(start, start + batch)
            yield chosen % count if wrap else chosen[chosen < count]


def local_response(pixels: Tensor) -> Tensor:
    """Each pixel's colour (..., 3) over (1 + 1e-4 / 5 * the sum of its squares) ** 0.75.

    SegNet-Basic's LRN layer (local_size 5, alpha 1e-4, beta 0.75, k 1): its window spans all three channels.
    The paper (section 4.1) calls it local contrast normalisation.
    """
    return pixels / (1.0 + (1e-4 / 5) * pixels.square().sum(-1, keepdim=True)) ** 0.75


def _mirror(maps: Tensor, mirrored: NDArray[np.bool_]) -> Tensor:
    """Mirror the chosen maps (B, H, W, ...) left to right."""
    chosen = torch.from_numpy(mirrored).to(maps.device).view(-1, *([1] * (maps.dim() - 1)))
    return torch.where(chosen, maps.flip(2), maps)
