"""Predictions of a trained model on pictures of any size, scaled and normalized as its protocol's evaluation does."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor, nn

from architectures.base import Architecture
from datasets.cache import reduce_area
from datasets.pictures import bits_a_channel
from harness.config.run_spec import Precision, check_precision
from harness.data.preprocessing import Normalize, padded_reach
from harness.deploy.weights import ModelConfig, Source, build
from harness.metrics.inputs import as_array
from harness.system.corruption import UNREADABLE
from harness.system.environment import Device, emulates_bfloat16
from harness.system.errors import UserError
from harness.training.amp import apply_precision, autocast, convert_weights, memory_layout
from harness.training.evaluator import label_maps

Pixels = NDArray[np.uint8]
_OVERLAY = 0.5  # share of the class's color in an overlay
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L")  # Pillow's modes of more than 8 bits a channel
_HEADER = 32  # bytes of a file that hold a PNG's depth
_ROW = 18  # pixels of height of a row of the legend


class UnreadablePicture(UserError):
    """A picture that can't be used: one line that names it."""


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A trained model that takes pictures.

    model: in evaluation mode, on the device.
    config: what it was trained as.
    precision: of the forward pass; logits are enlarged in float32.
    """

    model: Architecture
    config: ModelConfig
    device: torch.device
    precision: Precision
    _converted: dict[Any, nn.Module] = field(default_factory=dict, init=False, repr=False, compare=False)

    def labels(self, pictures: Sequence[Pixels], native: bool = False) -> list[Pixels]:
        """Class indices (H, W) uint8 of pictures (H, W, 3) uint8 in RGB, each at its own size.

        native: run the model at the pictures' own size, which is then one for all, not at the size of its training.

        Raises:
            architectures.ArchitectureError: a size that the model does not take.
        """
        size = self.config.image_size
        inputs = [picture if native else reduce_area(picture, size, self.config.padding) for picture in pictures]
        pixels = torch.from_numpy(np.stack(inputs)).to(self.device)
        with torch.inference_mode():
            images = Normalize(self.config, self.device)(pixels).permute(0, 3, 1, 2)
            images = images.contiguous(memory_format=memory_layout(self.precision, self.device.type))
            with autocast(self.precision, self.device):
                logits = self._ready()(images)
            reach = self.model.info.reach(*inputs[0].shape[:2])
            found = []
            for one, picture in zip(logits, pictures, strict=True):
                full = (picture.shape[0], picture.shape[1])
                own = reach if native else padded_reach(full, size, self.config, reach)
                found.append(label_maps(one[None], full, own)[0].cpu().numpy())
            return found

    def _ready(self) -> nn.Module:
        """In bf16 a copy with converted weights: autocast would convert them for every picture.

        It is made anew once the model has changed. Tensors count their changes, but not those through `.data`, nor any
        where they were made in inference mode.
        """
        if self.precision != "bf16":
            return self.model
        tensors = chain(self.model.parameters(), self.model.buffers())
        versions = ((one.data_ptr(), 0 if one.is_inference() else one._version) for one in tensors)
        state = (self.model.training, *versions)
        if state not in self._converted:
            self._converted.clear()
            model = copy.deepcopy(self.model).to(memory_format=memory_layout(self.precision, self.device.type))
            convert_weights(model, self.precision)
            self._converted[state] = model
        return self._converted[state]


def predictor(source: Source, device: Device, precision: Precision | None = None) -> Predictor:
    """The source's model on a device, ready for pictures.

    precision: none: that of its training, but fp32 where a CPU would have to emulate bfloat16.
    """
    if precision is None:
        precision = source.config.precision
        if device == "cpu" and (precision == "tf32" or (precision == "bf16" and emulates_bfloat16())):
            precision = "fp32"
    apply_precision(check_precision(precision, device))
    return Predictor(
        model=build(source, device), config=source.config, device=torch.device(device), precision=precision
    )


# -- pictures in -----------------------------------------------------------------------------------------------


def read_picture(path: Path) -> Pixels:
    """A picture file as it is to be seen (EXIF orientation heeded), (H, W, 3) uint8 in RGB.

    Raises:
        UnreadablePicture: no such file, no picture, a damaged one, or one of more than 8 bits.
    """
    try:
        with Image.open(path) as image:
            return _as_rgb(image)
    except FileNotFoundError as error:
        raise UnreadablePicture(f"{path}: no such file") from error
    except (*UNREADABLE, Image.DecompressionBombError) as error:
        raise UnreadablePicture(f"{path}: no readable picture ({type(error).__name__})") from error


def as_picture(image: Any) -> Pixels:
    """A picture (H, W, 3) uint8 of a path, a Pillow image, or an array or tensor, (H, W, 3) or (3, H, W) uint8.

    Raises:
        UserError: anything else.
    """
    if isinstance(image, str | Path):
        return read_picture(Path(image))
    if isinstance(image, Image.Image):
        return _as_rgb(image)
    array = as_array(image)
    if isinstance(image, Tensor) and array.ndim == 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise UserError(
            f"image is {array.dtype} {array.shape}: give a path, a Pillow image, or uint8 (H, W, 3) in RGB of 0..255"
        )
    return np.ascontiguousarray(array)


def _as_rgb(image: Image.Image) -> Pixels:
    """As it is to be seen, (H, W, 3) uint8.

    Raises:
        UnreadablePicture: of more than 8 bits; whatever Pillow says of a damaged one.
    """
    name, bits = os.fsdecode(getattr(image, "filename", "")), 8
    if image.mode not in ("1", "L") and os.path.isfile(name):  # Pillow opens colors of 16 bits as if they had 8
        with open(name, "rb") as file:
            bits = bits_a_channel(image, file.read(_HEADER))
    if image.mode in _DEEP or bits > 8:
        raise UnreadablePicture(f"{name or 'the image'}: has more than 8 bits a channel; save it as 8-bit RGB")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


# -- predictions out -------------------------------------------------------------------------------------------


def class_shares(labels: Pixels, num_classes: int) -> NDArray[np.float64]:
    """Share of the pixels of each class, (K,), adding up to 1."""
    return np.bincount(labels.ravel(), minlength=num_classes) / labels.size


def colored(labels: Pixels, config: ModelConfig) -> Pixels:
    """The label map (H, W) in its classes' colors, (H, W, 3)."""
    return np.asarray(config.colors, dtype=np.uint8)[labels]


def overlay(picture: Pixels, labels: Pixels, config: ModelConfig) -> Pixels:
    """The picture with its classes' colors half transparent, and a legend of those that occur on its right.

    (H, W + L, 3); the legend has a row for each of the most frequent classes, as many as there is height for.
    """
    mixed = picture * (1 - _OVERLAY) + colored(labels, config) * _OVERLAY
    legend = _legend(class_shares(labels, config.num_classes), config, picture.shape[0])
    return np.concatenate([np.round(mixed).astype(np.uint8), legend], axis=1)


def _legend(shares: NDArray[np.float64], config: ModelConfig, height: int) -> Pixels:
    """Swatch, name and share of classes, the most frequent first, (height, L, 3); L depends on the names alone."""
    font = ImageFont.load_default(size=12)
    longest = max(font.getlength(f"{name} 100.0 %") for name in config.classes)
    image = Image.new("RGB", (int(longest) + _ROW + 12, height), "white")
    draw = ImageDraw.Draw(image)
    order = [int(n) for n in np.argsort(-shares, kind="stable") if shares[n] > 0]
    for row, n in enumerate(order[: max(1, height // _ROW)]):
        top = row * _ROW
        draw.rectangle((4, top + 3, _ROW - 2, top + _ROW - 3), fill=config.colors[n], outline="black")
        draw.text((_ROW + 4, top + 2), f"{config.classes[n]} {shares[n]:.1%}".replace("%", " %"), "black", font)
    return np.asarray(image)
