"""Architectures as tests build them."""

from unittest.mock import patch

import torch
from torch import Tensor, nn

import architectures
from architectures import fcn8s
from architectures.base import Architecture
from architectures.padded import PaddedConv2d, PaddedConvTranspose2d
from architectures.pooling import IndexPool, Storage, max_unpool


def build(name: str, num_classes: int, size: tuple[int, int] = (64, 64)) -> Architecture:
    """An architecture drawn under one seed; FCN-8s with 64 features, for its 4,096 take seconds to draw."""
    torch.manual_seed(0)
    with patch.object(fcn8s, "FEATURES", 64):
        return architectures.build(name, num_classes, size)


def fill_zero_scores(network: nn.Module) -> None:
    """FCN's scores start at zero, which would hide everything in front of them."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4 and not parameter.any():
                parameter.normal_(std=0.01)


def set_padded(network: nn.Module, padded: bool) -> int:
    """Switch padding of channels on or off in all layers that know it, on any device; how many."""
    layers = [one for one in network.modules() if isinstance(one, PaddedConv2d | PaddedConvTranspose2d)]
    for layer in layers:
        layer.padded = padded
    return len(layers)


class Pair(nn.Module):
    """Pooling and unpooling with work in between."""

    def __init__(self, storage: Storage) -> None:
        super().__init__()
        self.pool = IndexPool(storage)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        values, pooled = self.pool(x)
        return values, max_unpool(values * 2, *pooled)
