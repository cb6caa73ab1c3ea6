"""The parts that all architectures are made of: convolution, batch norm and ReLU, and Caffe's fillers."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

DROPOUT = 0.5
NamedLayers = list[tuple[str, nn.Module]]


class BatchNorm2d(nn.BatchNorm2d):
    """Batch norm with caffe-segnet's eps 1e-9, scale 1 and shift 0.001, that can train on a single value.

    Over a single value a channel (N*H*W = 1) the batch variance is 0, as in Caffe, where torch raises: the
    output is the shift, the gradients of input and scale are 0, and the running variance moves towards 0.
    Such layers are those of DeconvNet's fully connected part with batch 1. In all other cases this is torch's
    batch norm.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__(num_features, eps=1e-9)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.constant_(self.bias, 0.001)

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        self._check_input_dim(input)
        if self.training and input.numel() == input.shape[1]:
            return self._normalize_single(input)
        return super().forward(input)

    def _normalize_single(self, input: Tensor) -> Tensor:
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            # momentum None stands for the cumulative average
            share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
            self.running_mean.lerp_(input.detach().flatten().to(self.running_mean.dtype), share)
            self.running_var.mul_(1.0 - share)
        zero = torch.zeros_like(self.bias)
        # input - input is the value minus its own mean: its gradient cancels to exactly 0, as Caffe's does
        return functional.batch_norm(input - input, zero, zero, self.weight, self.bias, eps=self.eps)


def he_normal_(layer: nn.Conv2d) -> None:
    """Caffe's `msra` filler: normal with std sqrt(2 / fan_in), bias 0 (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def gaussian_(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Caffe's `gaussian` filler with std 0.01, bias 0."""
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def bilinear_(layer: nn.ConvTranspose2d) -> None:
    """Bilinear interpolation from each map to itself, nothing between maps (surgery.interp of the FCN code).

    Scaled so that the taps that meet in one output pixel sum to 1, which theirs do only where a kernel's side
    is twice its stride: a constant map stays what it is.
    """
    down, across = (_triangle(size, stride) for size, stride in zip(layer.kernel_size, layer.stride, strict=True))
    with torch.no_grad():
        layer.weight.zero_()
        maps = torch.arange(layer.in_channels, device=layer.weight.device)
        layer.weight[maps, maps] = (down[:, None] * across[None, :]).to(layer.weight)


def _triangle(size: int, stride: int) -> Tensor:
    """The taps of linear interpolation along one side, (size,), summing to the stride."""
    reach = (size + 1) // 2
    center = (size - 1) / 2 if size % 2 == 0 else reach - 1
    taps = 1 - (torch.arange(size, dtype=torch.float32, device="cpu") - center).abs() / reach
    return taps * (stride / taps.sum())


def conv_bn_relu(
    name: str,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int] = 3,
    *,
    padding: int = 1,
    dilation: int = 1,
    kind: type[nn.Conv2d] = nn.Conv2d,
) -> NamedLayers:
    """He-filled convolution `name` with bias, then `name`_bn, then `name`_relu (in place)."""
    conv = kind(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation)
    he_normal_(conv)
    return _bn_relu(name, conv, out_channels)


def conv_bn(
    name: str, in_channels: int, out_channels: int, kernel_size: int, *, padding: int, groups: int = 1
) -> NamedLayers:
    """He-filled convolution `name` with bias, then `name`_bn."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, groups=groups)
    he_normal_(conv)
    return _bn_relu(name, conv, out_channels)[:2]


def deconv_bn_relu(
    name: str,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int] = 3,
    *,
    padding: int = 1,
    kind: type[nn.ConvTranspose2d] = nn.ConvTranspose2d,
) -> NamedLayers:
    """Gaussian-filled deconvolution `name` with bias, then `name`_bn, then `name`_relu (in place)."""
    deconv = kind(in_channels, out_channels, kernel_size, padding=padding)
    gaussian_(deconv)
    return _bn_relu(name, deconv, out_channels)


def _bn_relu(name: str, layer: nn.Module, channels: int) -> NamedLayers:
    return [(name, layer), (f"{name}_bn", BatchNorm2d(channels)), (f"{name}_relu", nn.ReLU(inplace=True))]


def crop(x: Tensor, size: Sequence[int]) -> Tensor:
    """Cut (N, C, H, W) maps at their far ends to a height and width, given as (height, width)."""
    return x[..., : size[0], : size[1]]


def dropout(name: str) -> NamedLayers:
    """Element-wise dropout. Not in place: the backward pass of the ReLU before it needs its own output."""
    return [(name, nn.Dropout(DROPOUT))]


def block(*parts: NamedLayers) -> nn.Sequential:
    """The parts one after another, each layer under its own name.

    Architectures run a block layer by layer (`for layer in block: x = layer(x)`) rather than by calling it,
    because a called module keeps its input alive until it returns, and that would be measured as memory that
    the architecture needs.
    """
    return nn.Sequential(OrderedDict(itertools.chain.from_iterable(parts)))


def convolutions(block: nn.Sequential) -> dict[str, nn.Conv2d]:
    """The convolutions of a block by name, in order (transposed ones are not among them)."""
    return {name: layer for name, layer in block.named_children() if isinstance(layer, nn.Conv2d)}
