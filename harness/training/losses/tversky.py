"""Tversky loss: Salehi et al., MLMI 2017 (arXiv 1706.05721), as segmentation_models.pytorch has it.

One minus the score of each class over the whole batch, averaged over all K classes; a class without pixels in the
batch adds 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor

ALPHA, BETA = 0.3, 0.7  # weights of false positives and false negatives: the paper's best; 0.5 each is Dice


def _build(class_weights: Tensor | None) -> LossFunction:
    """Soft counts of the whole batch are divided by each other: it does not split over processes.

    Args:
        class_weights: (K,): the average over classes is then weighted by them.
    """
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, TverskyLoss

    tversky = TverskyLoss(MULTICLASS_MODE, ignore_index=VOID, alpha=ALPHA, beta=BETA, class_weights=class_weights)
    return lambda logits, target, pixels: tversky(logits.float(), target)


LOSS = Loss(build=_build, class_weights=True, splits=False)
