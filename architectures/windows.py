"""Convolutions whose window is about as large as the map: the fully connected layers of VGG16's generation.

The same sums as torch's convolutions, whose weights, names and fillers they keep. They exist because oneDNN
(torch's CPU kernels) takes the gradient of such weights without its fast path: 22 s for FCN's fc6 on a 3x4
map against 0.2 s as a matrix product, 6 s against 0.2 s for DeconvNet's fc6 on a 12x15 map.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    On a CPU the gradient of the weights is taken as a matrix product; elsewhere this is torch's convolution.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(input)
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
            return F.conv2d(input, weight, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        input, weight = ctx.saved_tensors
        by_input = by_weight = by_bias = None
        if ctx.needs_input_grad[0]:
            by_input = F.conv_transpose2d(gradient, weight, padding=ctx.padding)
        if ctx.needs_input_grad[1]:
            by_weight = weight.new_zeros(weight.shape[0], weight[0].numel())
            for n in range(len(input)):
                # an image at a time: all windows side by side take k*k times the map's memory
                columns = F.unfold(input[n : n + 1], weight.shape[2:], padding=ctx.padding)[0]  # (C*k*k, h*w)
                by_weight.addmm_(gradient[n].flatten(1), columns.t())
            by_weight = by_weight.view(weight.shape)
        if ctx.needs_input_grad[2]:
            by_bias = gradient.sum((0, 2, 3))
        return by_input, by_weight, by_bias, None
