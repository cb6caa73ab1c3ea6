"""The pair of 2x2 max-pooling and unpooling that SegNet's and DeconvNet's decoders are built on."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Pooled(NamedTuple):
    """What the decoder needs of one pooling.

    indices  (N, C, ceil(H/2), ceil(W/2)) int64, position of each maximum in its flattened H*W map
    size     (H, W) before pooling
    """

    indices: Tensor
    size: tuple[int, int]


def max_pool(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, H, W) -> values and indices, both (N, C, ceil(H/2), ceil(W/2)); odd sizes round up, as in Caffe.

    Of equal values the first in scan order is taken (after ReLU, windows of zeros are common).
    """
    values, indices = functional.max_pool2d_with_indices(x, (2, 2), (2, 2), ceil_mode=True)
    return values, indices


def max_unpool(values: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse of `max_pool`: (N, C, h, w) -> (N, C, *size), zero everywhere but at the indices."""
    return functional.max_unpool2d(values, indices, (2, 2), (2, 2), output_size=size)
