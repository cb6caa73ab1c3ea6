"""Scale, crop and color augmentation of training batches: drawn on the host, carried out on the device.

What is drawn for an image is a pure function of (seed, iteration, index), as its mirroring is, so that a
resumed run sees the same batches. Scaling and cropping are one step: the input is a window of the image,
resampled to the input's size, so that all networks keep their input size, those built for one size too. A
window larger than the image holds void labels and the input's mean around it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from architectures.architecture_info import WHOLE, Reach
from datasets import VOID
from harness.config.protocol import Protocol
from harness.config.run_spec import RandomStream

DRAWN = 6  # numbers an image: top, left and extent of its window; brightness, contrast, saturation
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's and torchvision's gray


@dataclass(frozen=True, kw_only=True)
class Augmented:
    """How the images of a batch are changed, on the device; none of either: not in that way.

    windows: (B, 3) float64: top and left of the window, and its extent, as shares of height and width.
    colors: (B, 3) float32 factors of brightness, contrast and saturation.
    """

    windows: Tensor | None
    colors: Tensor | None


def scales(protocol: Protocol) -> bool:
    """Whether training images are scaled and cropped."""
    return protocol.scale_min != 1 or protocol.scale_max != 1


def augments(protocol: Protocol) -> bool:
    """Whether training images are changed otherwise than by mirroring."""
    return scales(protocol) or protocol.color_jitter > 0


def draw(protocol: Protocol, seed: int, iteration: int, indices: Sequence[int]) -> NDArray[np.float64]:
    """What is drawn for the images of a batch, (B, 6).

    The scale is drawn evenly by its logarithm: half the size is as likely as double. At scale s the window's
    extent is 1/s; its place is drawn evenly among those inside the image or, where it is larger than the
    image, among those around it. Each color factor lies evenly in 1 - c ... 1 + c.
    """
    rows = [
        np.random.default_rng((RandomStream.AUGMENTATION, seed, iteration, int(index))).random(DRAWN)
        for index in indices
    ]
    numbers = np.stack(rows)
    low, high = math.log(protocol.scale_min), math.log(protocol.scale_max)
    extents = np.exp(-(low + numbers[:, 2] * (high - low)))
    room = 1 - extents
    factors = 1 + protocol.color_jitter * (2 * numbers[:, 3:] - 1)
    return np.column_stack([numbers[:, 0] * room, numbers[:, 1] * room, extents, factors])


def as_drawn(protocol: Protocol, drawn: Tensor) -> Augmented:
    """What was drawn, (B, 6), as what is done."""
    return Augmented(
        windows=drawn[:, :3] if scales(protocol) else None,
        colors=drawn[:, 3:].float() if protocol.color_jitter > 0 else None,
    )


def colored(pixels: Tensor, factors: Tensor) -> Tensor:
    """Pixels (B, h, w, 3), RGB of 0..255, changed by factors (B, 3) of brightness, contrast, saturation.

    They are applied in this order. Brightness multiplies; contrast stretches about the image's mean gray,
    saturation about each pixel's own; values are clipped after each, as torchvision's `adjust_...` do.
    """
    brightness, contrast, saturation = (one.view(-1, 1, 1, 1) for one in factors.unbind(1))
    pixels = (pixels * brightness).clamp(0, 255)
    middle = _gray(pixels).mean((1, 2), keepdim=True)
    pixels = ((pixels - middle) * contrast + middle).clamp(0, 255)
    gray = _gray(pixels)
    return ((pixels - gray) * saturation + gray).clamp(0, 255)


def _gray(pixels: Tensor) -> Tensor:
    """(B, h, w, 3) -> (B, h, w, 1)."""
    red, green, blue = pixels.unbind(-1)
    gray: Tensor = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
    return gray.unsqueeze(-1)


def window_of_images(images: Tensor, windows: Tensor) -> Tensor:
    """The windows of normalized images (B, 3, h, w), bilinearly resampled to (B, 3, h, w); 0 outside.

    Shrinking takes no mean over pixels, as augmentation commonly does without.
    """
    height, width = images.shape[2:]
    # by hand: torch's affine_grid is a matrix product, which autocast would take in bfloat16
    y, x = _centers(windows, 0, height, 2) - 1, _centers(windows, 1, width, 2) - 1  # the image is -1 to 1
    shape = (len(images), height, width)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], dim=-1)  # (B, h, w, 2)
    return F.grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def window_of_labels(labels: Tensor, windows: Tensor, size: tuple[int, int], reach: Reach = WHOLE) -> Tensor:
    """The windows of labels (B, H, W) at the cell centers of a map of `size`, (B, h, w); void outside.

    reach: how far the map reaches down and across its window.
    """
    height, width = labels.shape[1:]
    rows = _centers(windows, 0, size[0], height, float(reach[0])).floor().long()  # (B, h)
    columns = _centers(windows, 1, size[1], width, float(reach[1])).floor().long()  # (B, w)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    image = torch.arange(len(labels), device=labels.device)[:, None, None]
    taken = labels[image, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None, :]]
    return torch.where(inside, taken, VOID)


def _centers(windows: Tensor, axis: int, count: int, whole: int, reach: float = 1.0) -> Tensor:
    """Where the cells of a window have their centers along an axis of an image `whole` long, (B, count)."""
    cells = (torch.arange(count, device=windows.device, dtype=windows.dtype) + 0.5) * (whole * reach) / count
    return windows[:, axis, None] * whole + windows[:, 2, None] * cells
