"""Lovász-softmax: Berman et al., CVPR 2018 (arXiv 1705.08790), as segmentation_models.pytorch has it.

A surrogate of IoU over the whole batch, averaged over the classes that occur in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor


def _build(class_weights: Tensor | None) -> LossFunction:
    """It sorts the errors of all pixels of a batch: it does not split over processes.

    Picking the labeled pixels, and asking for each class whether it occurs, make the host wait for a GPU.
    """
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, LovaszLoss

    assert class_weights is None
    lovasz = LovaszLoss(MULTICLASS_MODE, ignore_index=VOID)
    # of a batch without labeled pixels it gives none, (0, K), whose sum is 0
    return lambda logits, target, pixels: lovasz(logits.float(), target).sum()


LOSS = Loss(build=_build, class_weights=False, splits=False)
