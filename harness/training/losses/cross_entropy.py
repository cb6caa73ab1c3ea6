"""Cross-entropy, the SegNet paper's loss, as the original's loss layer normalizes it (Caffe's SoftmaxWithLoss)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor


def labeled_pixels(target: Tensor) -> Tensor:
    """How many pixels of a target (B, h, w) are not void, int64 ()."""
    return (target != VOID).sum()


def masked_cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, pixels: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy over labeled pixels; 0 for a batch without any.

    Weighted or not, the sum is divided by the number of labeled pixels, as the original's loss layer does,
    where torch's own mean divides by the sum of their weights.

    Args:
        logits: (B, K, h, w), any float type; the loss is taken in float32.
        target: (B, h, w) int64, void 255.
        weights: (K,), a factor for the pixels of each class.
        pixels: labeled ones of the whole batch, of which this may be a part; none: of `target`.
    """
    from torch.nn import functional

    total = functional.cross_entropy(logits.float(), target, weights, ignore_index=VOID, reduction="sum")
    counted = labeled_pixels(target) if pixels is None else pixels
    return total / counted.clamp(min=1)


def _build(class_weights: Tensor | None) -> LossFunction:
    return lambda logits, target, pixels: masked_cross_entropy(logits, target, class_weights, pixels)


LOSS = Loss(build=_build, class_weights=True, splits=True)
