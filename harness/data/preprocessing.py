"""From pixels to the input of a model: what evaluation, training and prediction have in common."""

from fractions import Fraction
from typing import Protocol

import torch
from torch import Tensor

from architectures.architecture_info import WHOLE, Reach
from datasets.base import Color, Size
from datasets.cache import padded_size

Channels = tuple[float, float, float]  # R, G, B


class InputSettings(Protocol):
    """How images are brought to the input's size and normalized; protocols and the configurations of weights say it."""

    @property
    def padding(self) -> Color | None: ...
    @property
    def input_mean(self) -> Channels: ...
    @property
    def input_std(self) -> Channels: ...
    @property
    def standardize(self) -> bool: ...
    @property
    def local_response_norm(self) -> bool: ...


def padded_reach(full: Size, size: Size, settings: InputSettings, reach: Reach = WHOLE) -> Reach:
    """How far logits reach over an image of `full` (height, width) that was brought to an input of `size`.

    Args:
        full: of the image and its label.
        size: of the input.
        settings: whether the image was padded.
        reach: of the logits over the input.
    """
    if settings.padding is None:
        return reach
    rows, columns = padded_size(full, size)
    return reach[0] * Fraction(rows, full[0]), reach[1] * Fraction(columns, full[1])


class Normalize:
    """uint8 or float pixels (B, H, W, 3), RGB of 0..255 -> float32 (B, H, W, 3).

    (RGB - mean) / std, then each channel of each image to mean 0 and deviation 1, or local response normalization,
    as the settings say.
    """

    def __init__(self, settings: InputSettings, device: torch.device) -> None:
        self._mean = torch.tensor(settings.input_mean, device=device)
        self._std = torch.tensor(settings.input_std, device=device)
        self._standardize = settings.standardize
        self._local_response = settings.local_response_norm

    def __call__(self, pixels: Tensor) -> Tensor:
        scaled = (pixels.float() - self._mean) / self._std
        if self._standardize:
            spread, middle = torch.std_mean(scaled, dim=(1, 2), keepdim=True)
            scaled = (scaled - middle) / spread.clamp(min=1e-3)  # an image of one color stays 0
        return local_response_norm(scaled) if self._local_response else scaled


def local_response_norm(pixels: Tensor) -> Tensor:
    """Each pixel's color (..., 3) over (1 + 1e-4 / 5 * the sum of its squares) ** 0.75.

    SegNet-Basic's LRN layer (local_size 5, alpha 1e-4, beta 0.75, k 1): its window spans all three channels.
    The paper (section 4.1) calls it local contrast normalization.
    """
    return pixels / (1.0 + (1e-4 / 5) * pixels.square().sum(-1, keepdim=True)) ** 0.75
