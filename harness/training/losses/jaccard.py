"""Soft Jaccard (IoU) loss: Rahman and Wang, ISVC 2016, as segmentation_models.pytorch has it.

One minus the score of each class over the whole batch, averaged over all K classes; a class without pixels in the
batch adds 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor


def _build(class_weights: Tensor | None) -> LossFunction:
    """Soft counts of the whole batch are divided by each other: it does not split over processes.

    Args:
        class_weights: (K,): the average over classes is then weighted by them.
    """
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, JaccardLoss

    jaccard = JaccardLoss(MULTICLASS_MODE, ignore_index=VOID, class_weights=class_weights)
    return lambda logits, target, pixels: jaccard(logits.float(), target)


LOSS = Loss(build=_build, class_weights=True, splits=False)
