"""Focal loss with gamma 2: Lin et al., ICCV 2017 (arXiv 1708.02002), as segmentation_models.pytorch has it.

That one takes each class's logits for a binary decision of their own, by the sigmoid, and averages over classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor


def _build(class_weights: Tensor | None) -> LossFunction:
    """The sum over labeled pixels, divided by their number: splits over processes as cross-entropy does.

    Picking the labeled pixels makes the host wait for a GPU, once a class.

    Args:
        class_weights: (K,): the average over classes is then weighted by them.
    """
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, FocalLoss

    focal = FocalLoss(MULTICLASS_MODE, gamma=2.0, ignore_index=VOID, reduction="sum", class_weights=class_weights)

    def loss(logits: Tensor, target: Tensor, pixels: Tensor) -> Tensor:
        total: Tensor = focal(logits.float(), target)
        return total / pixels.clamp(min=1)

    return loss


LOSS = Loss(build=_build, class_weights=True, splits=True)
