"""Bilinear-Interpolation: the decoder of Table 1 that learns nothing.

Paper: Badrinarayanan, Kendall, Cipolla: "SegNet", PAMI 2017 (arXiv 1511.00561v3), section 3.2 and Table 1.
Official definition: none was published; this one reproduces the size in Table 1.
A 1x1 convolution makes K scores of the fourth stage's pooled maps; four bilinear doublings bring them to the
size of the image. Score j of a coarse map lies at 2j + 0.5 of the finer one, the middle of its pooling
window; one row or column too many is cut off at the far end.
Differences: interpolation is computed, not stored as kernels, as the size in Table 1 has it.
Parameters: 613,003.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from architectures.encoders.basic import BasicNetwork, Decoder, Kept, classifier
from architectures.layers import crop


class BilinearDecoder(Decoder):
    """Scores at a sixteenth of the size, interpolated four times."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv_classifier = classifier(num_classes)

    def forward(self, x: Tensor, kept: list[Kept]) -> Tensor:
        x = self.conv_classifier(x)
        while kept:
            doubled = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = crop(doubled, kept.pop().size)
        return x


class BilinearInterpolation(BasicNetwork):
    """(N, 3, H, W) -> logits (N, K, H, W)."""

    def build_decoder(self, num_classes: int) -> Decoder:
        return BilinearDecoder(num_classes)
