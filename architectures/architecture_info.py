"""What is known of an architecture without building it, and the errors of all that concerns one. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

# How far logits reach down and across their image, as shares of it: 1, or more where the last cells stand over.
Reach = tuple[Fraction, Fraction]
WHOLE: Reach = (Fraction(1), Fraction(1))


class ArchitectureError(ValueError):
    """An architecture was asked for something it cannot do: one line that says what, and what is allowed."""


class WeightsError(ArchitectureError):
    """A weights file is missing, cannot be read or does not fit: one line that says which, and what to do."""


class EncoderMismatch(WeightsError):
    """A readable weights file holds another encoder than the architecture has."""


@dataclass(frozen=True, kw_only=True)
class ArchitectureInfo:
    """What is known of an architecture without building it.

    name           key of the table, as typed on the command line
    title          what the SegNet paper calls it in its Tables 1, 3 and 6; ours for what it does not have
    target         "module:Class" of the `Architecture`
    revision       raised with every change that alters results, so that old runs are not taken for new ones
    output_stride  s in (N, 3, H, W) -> (N, K, ceil(H/s), ceil(W/s))
    fixed_size     True if it works only for the image size that it was built for
    min_size       least height and width in pixels
    reference      paper and official definition, one line
    summary        what it does, one line
    imagenet       whose ImageNet weights its encoder can start from: VGG16's, its library's own, or nobody's
    timm_encoder   timm's name of its encoder, where a file of timm's weights can start that; else empty
    fully_connected  which of VGG16's fc6 and fc7 it has, in whatever size
    initialization how its parameters are drawn, for tables
    context        what a pixel's logits depend on: the image around it, its own color and position ("pixel"),
                   or its position alone; the latter two are baselines for the others
    wraps          what makes a network from elsewhere: "Unet/resnet34", "module:function"; empty for ours
    source         SHA-256 of a plugin's target and sources; empty for all others, which have a revision
    """

    name: str
    title: str
    target: str
    revision: int
    min_size: int
    reference: str
    summary: str
    output_stride: int = 1
    fixed_size: bool = False
    imagenet: Literal["vgg16", "own", "none"] = "vgg16"
    timm_encoder: str = ""
    fully_connected: tuple[str, ...] = ()
    initialization: str = "He et al."
    context: Literal["image", "pixel", "position"] = "image"
    wraps: str = ""
    source: str = ""

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the logits of an image of this size."""
        return -(-height // self.output_stride), -(-width // self.output_stride)

    def reach(self, height: int, width: int) -> Reach:
        """How far the logits of an image of this size reach: a cell is s pixels, so that the last may stand over.

        180 rows at stride 8 are 23 cells, 184 pixels. Taken for 180, the cells' centers would drift from the
        network's own by 4 pixels from one edge to the other.
        """
        rows, columns = self.output_size(height, width)
        return Fraction(rows * self.output_stride, height), Fraction(columns * self.output_stride, width)
