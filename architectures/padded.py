"""Convolutions to and from the scores of K classes, in channels that a GPU's tensor cores can take.

Tensor cores take half-precision maps in channels-last layout in multiples of 8 channels (of 4 in TF32); with
other numbers cuDNN may fall back to slower kernels or rearrange the maps on every call. Of the networks here
only classifiers and upsampling deconvolutions have others, since the number of classes, 11 or 37, decides;
just these work at the largest maps.
On a CUDA device such a layer therefore pads its weights, and where need be its input, with zeros, and cuts
the result: the same sums with further addends of zero, so that outputs and gradients differ by rounding at
most. Parameters, their names and state dicts are those of torch's layers, and so is all that is computed on a
CPU, but where oneDNN writes past the end of its memory (`_outputs_past_overrun`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MULTIPLE = 8
# Of oneDNN's gradient of weights in bfloat16 on a CPU with AMX (torch 2.15, two threads or more): with more inputs
# and fewer outputs than these it writes past the end of its memory, and the process is ended or its memory spoilt.
OVERRUN_INPUTS, OVERRUN_OUTPUTS = 2048, 16


class PaddedConv2d(nn.Conv2d):
    """(N, C, H, W) -> (N, D, H', W'): torch's convolution, with channels padded on a CUDA device.

    padded  whether they are; None: on a CUDA device
    """

    padded: bool | None = None

    def forward(self, input: Tensor) -> Tensor:
        inputs, outputs = _lacking(self) if _pads(self, input) else (0, _outputs_past_overrun(self, input))
        if not inputs and not outputs:
            return super().forward(input)
        weight = F.pad(self.weight, (0, 0, 0, 0, 0, inputs, 0, outputs))  # (D, C, k, l)
        maps: Tensor = self._conv_forward(_more_maps(input, inputs), weight, _more_values(self.bias, outputs))
        return maps[:, : self.out_channels]


class PaddedConvTranspose2d(nn.ConvTranspose2d):
    """(N, C, H, W) -> (N, D, H', W'): torch's deconvolution, with channels padded on a CUDA device.

    padded  whether they are; None: on a CUDA device
    """

    padded: bool | None = None

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if output_size is not None or not _pads(self, input):
            return super().forward(input, output_size)
        inputs, outputs = _lacking(self)
        assert isinstance(self.padding, tuple)
        maps = F.conv_transpose2d(
            _more_maps(input, inputs),
            F.pad(self.weight, (0, 0, 0, 0, 0, outputs, 0, inputs)),  # (C, D, k, l)
            _more_values(self.bias, outputs),
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )
        return maps[:, : self.out_channels]


def _pads(layer: PaddedConv2d | PaddedConvTranspose2d, input: Tensor) -> bool:
    wanted = input.is_cuda if layer.padded is None else layer.padded
    # groups take their channels in order, so that zeros at the end would not do
    return wanted and layer.groups == 1 and _lacking(layer) != (0, 0)


def _lacking(layer: PaddedConv2d | PaddedConvTranspose2d) -> tuple[int, int]:
    """How many channels of input and of output lack to a multiple of 8."""
    return -layer.in_channels % MULTIPLE, -layer.out_channels % MULTIPLE


def _outputs_past_overrun(layer: PaddedConv2d, input: Tensor) -> int:
    """How many outputs lack to a number that oneDNN takes in training; of FCN's score of fc7 with up to 15 classes."""
    if layer.in_channels <= OVERRUN_INPUTS or layer.padded is False or input.device.type != "cpu":
        return 0
    reduced = torch.is_autocast_enabled("cpu") or layer.weight.dtype != torch.float32
    return max(0, OVERRUN_OUTPUTS - layer.out_channels) if reduced and torch.is_grad_enabled() else 0


def _more_maps(maps: Tensor, more: int) -> Tensor:
    return F.pad(maps, (0, 0, 0, 0, 0, more)) if more else maps


def _more_values(values: Tensor | None, more: int) -> Tensor | None:
    return F.pad(values, (0, more)) if values is not None and more else values
