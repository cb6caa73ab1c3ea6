"""2x2 max-pooling that keeps which cell of each window held the maximum, and the unpooling that takes it.

Paper: SegNet, section 3: only the places of the maxima are handed to the decoder, for which 2 bits a window
are enough. torch's own pair keeps an int64 position instead, 64 bits: twice the float32 maps that SegNet set
out not to store. What is kept here is a choice:

int64   (N, C, h, w) positions in the flattened H*W map: torch's own pair, whose backward pass keeps the
        pool's input too, and whose unpooling refuses `torch.use_deterministic_algorithms`
uint8   (N, C, h, w) codes 0 to 3, a byte each: `pooling_plain` says what they mean
2bit    (N, ceil(C/4), h, w) uint8, four codes a byte: see `pack`

Values, and gradients too, are the same bits with each of them, on CPU and GPU, compiled or not. With codes,
the backward pass keeps the codes alone and is deterministic. All three export to ONNX with standard
operators: torch's pair as two MaxPool, for positions in the whole batch and where each map begins, and a
ScatterND; codes as comparisons and Where.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from architectures.pooling import cpu as pooling_cpu
from architectures.pooling import plain as pooling_plain

Storage = Literal["int64", "uint8", "2bit"]
STORAGES: tuple[Storage, ...] = get_args(Storage)


class Pooled(NamedTuple):
    """What the decoder needs of one pooling.

    indices  as `max_pool` gives them
    size     (H, W) before pooling
    """

    indices: Tensor
    size: tuple[int, int]


def max_pool(x: Tensor, storage: Storage = "uint8") -> tuple[Tensor, Tensor]:
    """(N, C, H, W) floats -> values (N, C, ceil(H/2), ceil(W/2)) and indices, stored as asked for.

    Odd sizes round up, as in Caffe. Of equal values the first in scan order is taken (after ReLU, windows of
    zeros are common). Raises ValueError for an unknown storage.
    """
    if storage == "int64":
        values, indices = functional.max_pool2d_with_indices(x, (2, 2), (2, 2), ceil_mode=True)
        return values, indices
    if storage not in STORAGES:
        raise ValueError(f"storage is {storage!r}; allowed are {', '.join(STORAGES)}")
    values, indices = _Pool.apply(x, storage == "2bit")
    return values, indices


def max_unpool(values: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverse of `max_pool`: (N, C, h, w) -> (N, C, *size), zero everywhere but where the maxima were.

    The indices' type and shape tell how they are stored. Raises ValueError for indices of another pooling.
    """
    expected = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    if tuple(values.shape[-2:]) != expected:
        raise ValueError(f"values are {tuple(values.shape)}, but maps of {size} pool to {expected}")
    if indices.dtype == torch.int64:
        return functional.max_unpool2d(values, indices, (2, 2), (2, 2), output_size=list(size))
    _check_codes(values, indices)
    maps: Tensor = _Spread.apply(values, indices, size)
    return maps


class IndexPool(nn.Module):
    """`max_pool` as a layer, so that its storage can be chosen for a whole network.

    storage  of the indices; it changes what is kept, never what is computed
    """

    def __init__(self, storage: Storage = "uint8") -> None:
        super().__init__()
        self.storage: Storage = storage

    def forward(self, x: Tensor) -> tuple[Tensor, Pooled]:
        """(N, C, H, W) -> values, and what the decoder needs."""
        height, width = x.shape[-2:]
        values, indices = max_pool(x, self.storage)
        return values, Pooled(indices, (height, width))


def set_storage(network: nn.Module, storage: Storage) -> None:
    """Let every `IndexPool` of a network store its indices so."""
    for module in network.modules():
        if isinstance(module, IndexPool):
            module.storage = storage


def pack(codes: Tensor) -> Tensor:
    """uint8 codes (N, C, h, w) -> (N, Q, h, w), Q = ceil(C/4), four codes a byte.

    Byte q holds those of channels q, q+Q, q+2Q, q+3Q, low bits first. Channels that lie far apart share a
    byte, so that whole planes (contiguous) or whole runs of channels (channels-last) are combined at once.
    Beyond the last channel the bits are 0.
    """
    groups = -(-codes.shape[1] // 4)
    missing = 4 * groups - codes.shape[1]
    if missing:
        codes = functional.pad(codes, (0, 0, 0, 0, 0, missing))
    packed, *others = (codes[:, start : start + groups] for start in range(0, 4 * groups, groups))
    for number, part in enumerate(others, start=1):
        packed = packed | part * 4**number
    return packed


def unpack(packed: Tensor, channels: int) -> Tensor:
    """Inverse of `pack`: (N, ceil(channels/4), h, w) -> (N, channels, h, w)."""
    # not shifted: torch's shift of bytes is slow on a CPU, and its ONNX exporter takes bytes for signed ones
    parts = [torch.div(packed, 4**number, rounding_mode="floor") & 3 for number in range(4)]
    return torch.cat(parts, dim=1)[:, :channels]


class _Kernels(Protocol):
    """What `pooling_plain`, `pooling_cpu` and `pooling_triton` have in common."""

    def pool(self, x: Tensor) -> tuple[Tensor, Tensor]: ...
    def spread(self, values: Tensor, codes: Tensor, size: tuple[int, int]) -> Tensor: ...
    def pick(self, maps: Tensor, codes: Tensor) -> Tensor: ...


def _kernels(x: Tensor) -> _Kernels:
    if torch.compiler.is_compiling():  # or exporting: elementwise operators are fused, and ONNX has them
        return pooling_plain
    if x.device.type == "cpu":
        return pooling_cpu
    if x.device.type == "cuda":
        from architectures.pooling import triton as pooling_triton

        if pooling_triton.available(x):
            return pooling_triton
    return pooling_plain


def _check_codes(values: Tensor, indices: Tensor) -> None:
    channels = values.shape[1]
    fits = indices.shape[0] == values.shape[0] and indices.shape[2:] == values.shape[2:]
    if indices.dtype != torch.uint8 or not fits or indices.shape[1] not in (channels, -(-channels // 4)):
        raise ValueError(
            f"indices are {indices.dtype} {tuple(indices.shape)}, which does not go with values of "
            f"{tuple(values.shape)}"
        )


def _codes(indices: Tensor, channels: int) -> Tensor:
    """Codes a byte each, from either storage. Of a single channel both are the same bytes."""
    return indices if indices.shape[1] == channels else unpack(indices, channels)


class _Pool(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, packed: bool) -> tuple[Tensor, Tensor]:
        values, codes = _kernels(x).pool(x)
        return values, pack(codes) if packed else codes

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, bool], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.size = tuple(inputs[0].shape[-2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # torch's pooling adds the gradient to zero, which turns -0.0 into 0.0
        return _Spread.apply(gradients[0] + 0.0, ctx.saved_tensors[0], ctx.size), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor, indices: Tensor, size: tuple[int, int]) -> Tensor:
        return _kernels(values).spread(values, _codes(indices, values.shape[1]), size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, tuple[int, int]], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Pick.apply(gradients[0], ctx.saved_tensors[0]), None, None


class _Pick(torch.autograd.Function):
    @staticmethod
    def forward(maps: Tensor, indices: Tensor) -> Tensor:
        return _kernels(maps).pick(maps, _codes(indices, maps.shape[1]))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.size = tuple(inputs[0].shape[-2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(gradients[0], ctx.saved_tensors[0], ctx.size), None
