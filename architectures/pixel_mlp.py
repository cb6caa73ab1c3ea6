"""Pixel MLP and position prior: baselines that any network must exceed, for they see no context.

Paper: none; ours. A network that does not exceed the pixel MLP has learnt nothing that a single pixel does not
show; one that does not exceed the position prior, nothing that is in the image at all.
Official definition: this one. Two hidden layers of 64 units with ReLU and the K scores, as 1x1 convolutions:
of a pixel's color and position (PixelMLP), or of its position alone (PositionPrior).
Differences from the paper's networks: no encoder, and no batch norm, through which pixels would see each other
in training.
Parameters: 5,259 (PixelMLP).
Parameters: 5,067 (PositionPrior).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from architectures.architecture_info import ArchitectureInfo
from architectures.base import Architecture
from architectures.layers import NamedLayers, block, he_normal_
from architectures.padded import PaddedConv2d

WIDTH = 64  # units in each of the two hidden layers


class PixelMLP(Architecture):
    """(N, 3, H, W) -> logits (N, K, H, W), each pixel's of its own color and position.

    features  how many values of a pixel are seen
    """

    features = 5

    def __init__(self, info: ArchitectureInfo, num_classes: int, image_size: tuple[int, int]) -> None:
        super().__init__(info, num_classes, image_size)
        scores = PaddedConv2d(WIDTH, num_classes, 1)
        he_normal_(scores)
        self.layers = block(
            _conv_relu("conv1", self.features, WIDTH), _conv_relu("conv2", WIDTH, WIDTH), [("score", scores)]
        )

    def logits(self, images: Tensor) -> Tensor:
        at = positions(images).expand(images.shape[0], -1, -1, -1)
        return self._scored(torch.cat([images, at], 1))

    def encoder_layers(self) -> Mapping[str, nn.Conv2d]:
        return {}  # there is no encoder

    def _scored(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class PositionPrior(PixelMLP):
    """(N, 3, H, W) -> logits (N, K, H, W), each pixel's of its position alone: the same for every image."""

    features = 2

    def logits(self, images: Tensor) -> Tensor:
        return self._scored(positions(images)).repeat(images.shape[0], 1, 1, 1)


def positions(images: Tensor) -> Tensor:
    """Row and column of the pixels' centers, (1, 2, H, W) in -1..1 from edge to edge, whatever the size."""
    height, width = images.shape[2:]
    rows = (torch.arange(height, device=images.device, dtype=torch.float32) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=images.device, dtype=torch.float32) * 2 + 1) / width - 1
    grid = torch.stack([rows[:, None].expand(height, width), columns[None].expand(height, width)])
    return grid[None].to(images.dtype)


def _conv_relu(name: str, in_channels: int, out_channels: int) -> NamedLayers:
    conv = nn.Conv2d(in_channels, out_channels, 1)
    he_normal_(conv)
    return [(name, conv), (f"{name}_relu", nn.ReLU(inplace=True))]
