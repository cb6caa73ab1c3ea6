"""Convolutions whose window is about as large as the map: the fully connected layers of VGG16's generation.

The same sums as torch's convolutions, whose weights, names and fillers they keep. They exist because oneDNN
(torch's CPU kernels) takes the gradient of such weights without its fast path: 22 s for FCN's fc6 on a 3x4
map against 0.2 s as a matrix product, 6 s against 0.2 s for DeconvNet's fc6 on a 12x15 map.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COLUMN_BYTES = 2**25


class WholeMapConv2d(nn.Conv2d):
    """A convolution whose window is the whole map: (N, C, h, w) -> (N, D, 1, 1), one matrix product.

    Raises:
        ValueError: the map is not of the window's size.
    """

    def forward(self, input: Tensor) -> Tensor:
        if tuple(input.shape[2:]) != tuple(self.kernel_size):
            raise ValueError(f"map {tuple(input.shape[2:])} is not of the window's size {self.kernel_size}")
        # reshape, not flatten of a channels-last map: rows must be in the weight's order (C, h, w)
        return F.linear(input.reshape(len(input), -1), self.weight.flatten(1), self.bias)[:, :, None, None]


class WholeMapConvTranspose2d(nn.ConvTranspose2d):
    """A deconvolution of a single value a map: (N, C, 1, 1) -> (N, D, h, w), one matrix product.

    Raises:
        ValueError: the map is not 1x1.
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if tuple(input.shape[2:]) != (1, 1):
            raise ValueError(f"map {tuple(input.shape[2:])} is not 1x1")
        spread = F.linear(input.flatten(1), self.weight.flatten(1).t())  # (N, D*h*w)
        maps = spread.view(len(input), self.out_channels, *self.kernel_size)
        return maps if self.bias is None else maps + self.bias.to(maps.dtype)[:, None, None]


class SmallMapConv2d(nn.Conv2d):
    """A convolution, stride 1, whose window may exceed its map: (N, C, h, w) -> (N, D, h, w) with padding.

    On a CPU it is a matrix product, but for inference on maps larger than the window; elsewhere this is
    torch's convolution.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(input)
        if not torch.is_grad_enabled() and input[0, 0].numel() > self.weight[0, 0].numel():
            return super().forward(input)  # reordering the weights, 411 MB in FCN's fc6, pays there
        weight, bias = self.weight, self.bias
        assert bias is not None and isinstance(self.padding, tuple)
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            input, weight, bias = input.to(dtype), weight.to(dtype), bias.to(dtype)
        return _SmallMapConvolution.apply(input, weight, bias, self.padding)  # type: ignore[no-any-return]


class _SmallMapConvolution(torch.autograd.Function):
    """Convolution with stride 1; keeps what torch's keeps: input and weight."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.padding = padding
        with torch.autocast("cpu", enabled=False):
            flat = _flat(weight)
            maps = [
                (flat @ _columns(part, weight, padding)).view(len(flat), len(part), *input.shape[2:]).transpose(0, 1)
                for part in torch.split(input, _images_at_once(input, flat))
            ]
            return torch.cat(maps).add_(bias[:, None, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        input, weight = ctx.saved_tensors
        flat = _flat(weight)
        by_input = torch.empty_like(input)
        by_weight = torch.empty_like(flat)
        images = _images_at_once(input, flat)
        for start in range(0, len(input), images):
            part = slice(start, start + images)
            given = gradient[part].flatten(2).transpose(0, 1).flatten(1)  # (D, n*h*w)
            columns = _columns(input[part], weight, ctx.padding)
            by_weight.addmm_(given, columns.t(), beta=float(start > 0))
            # this way round: with eight columns MKL takes ten times as long for flat.t() @ given
            by_input[part] = _maps(given.t() @ flat, input[part], weight, ctx.padding)
        return by_input, _unflattened(by_weight, weight), gradient.sum((0, 2, 3)), None


def _channels_last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last)


def _flat(weight: Tensor) -> Tensor:
    """(D, C, k, l) as (D, C*k*l): a view, values in memory order, so that no weight has to be reordered."""
    return (weight.permute(0, 2, 3, 1) if _channels_last(weight) else weight).reshape(len(weight), -1)


def _images_at_once(input: Tensor, flat: Tensor) -> int:
    """All windows side by side take k*l times the map's memory, hence a few images at a time."""
    return max(1, COLUMN_BYTES // (flat.shape[1] * input[0, 0].numel() * input.element_size()))


def _columns(input: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """Windows of (n, C, h, w) side by side, (C*k*l, n*h*w), values in the weight's memory order."""
    channels, height, width = weight.shape[1:]
    columns = F.unfold(input, (height, width), padding=padding)  # (n, C*k*l, h*w)
    if _channels_last(weight):
        columns = columns.view(len(columns), channels, height * width, -1).transpose(1, 2).flatten(1, 2)
    return columns.transpose(0, 1).flatten(1)


def _maps(rows: Tensor, input: Tensor, weight: Tensor, padding: tuple[int, int]) -> Tensor:
    """The opposite of `_columns`: (n*h*w, C*k*l) to (n, C, h, w), sums of all that lies over a pixel."""
    channels, height, width = weight.shape[1:]
    columns = rows.view(len(input), -1, rows.shape[1]).transpose(1, 2)  # (n, C*k*l, h*w)
    if _channels_last(weight):
        columns = columns.reshape(len(input), height * width, channels, -1).transpose(1, 2).flatten(1, 2)
    return F.fold(columns, tuple(input.shape[2:]), (height, width), padding=padding)


def _unflattened(flat: Tensor, weight: Tensor) -> Tensor:
    """(D, C*k*l) as (D, C, k, l) in the weight's memory format."""
    outputs, channels, height, width = weight.shape
    if _channels_last(weight):
        return flat.view(outputs, height, width, channels).permute(0, 3, 1, 2)
    return flat.view(outputs, channels, height, width)
