"""Losses as segmentation_models.pytorch has them, which is imported when one is built.

dice     soft Dice: Milletari et al., 3DV 2016 (arXiv 1606.04797)
jaccard  soft IoU: Rahman and Wang, ISVC 2016
tversky  Salehi et al., MLMI 2017 (arXiv 1706.05721), with the paper's best weights of false positives and negatives;
         0.5 each is Dice
lovasz   Lovász-softmax, a surrogate of IoU: Berman et al., CVPR 2018 (arXiv 1705.08790)
focal    gamma 2: Lin et al., ICCV 2017 (arXiv 1708.02002); each class's logits are taken for a binary decision of
         their own, by the sigmoid

The first three are one minus the score of each class over the whole batch, averaged over all K classes, by the class
weights if there are any; a class without pixels in the batch adds 0. Lovász-softmax sorts the errors of all pixels
of a batch, and is averaged over the classes that occur in it. None of these four splits over processes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from datasets import VOID
from harness.config.losses import Loss, LossFunction

if TYPE_CHECKING:
    from torch import Tensor


def _of_batch(class_weights: Tensor | None, *, name: str, **settings: float) -> LossFunction:
    """A loss over the whole batch."""
    from segmentation_models_pytorch import losses

    loss = getattr(losses, name)(losses.MULTICLASS_MODE, ignore_index=VOID, class_weights=class_weights, **settings)
    return lambda logits, target, pixels: loss(logits.float(), target)


def _lovasz(class_weights: Tensor | None) -> LossFunction:
    """Picking the labeled pixels, and asking for each class whether it occurs, make the host wait for a GPU."""
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, LovaszLoss

    assert class_weights is None
    lovasz = LovaszLoss(MULTICLASS_MODE, ignore_index=VOID)
    # of a batch without labeled pixels it gives none, (0, K), whose sum is 0
    return lambda logits, target, pixels: lovasz(logits.float(), target).sum()


def _focal(class_weights: Tensor | None) -> LossFunction:
    """The sum over labeled pixels, averaged over classes, divided by the pixels' number: splits as cross-entropy does.

    Picking the labeled pixels makes the host wait for a GPU, once a class.
    """
    from segmentation_models_pytorch.losses import MULTICLASS_MODE, FocalLoss

    focal = FocalLoss(MULTICLASS_MODE, gamma=2.0, ignore_index=VOID, reduction="sum", class_weights=class_weights)
    return lambda logits, target, pixels: focal(logits.float(), target) / pixels.clamp(min=1)


DICE = Loss(build=partial(_of_batch, name="DiceLoss"), class_weights=True, splits=False)
JACCARD = Loss(build=partial(_of_batch, name="JaccardLoss"), class_weights=True, splits=False)
TVERSKY = Loss(build=partial(_of_batch, name="TverskyLoss", alpha=0.3, beta=0.7), class_weights=True, splits=False)
LOVASZ = Loss(build=_lovasz, class_weights=False, splits=False)
FOCAL = Loss(build=_focal, class_weights=True, splits=True)
