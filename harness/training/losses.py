"""The loss, and the weights of the classes in it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets import VOID
from harness.config.class_weighting import class_weights
from harness.config.run_spec import RunSpec
from harness.data.split import DeviceDataset


def loss_weights(spec: RunSpec, train: DeviceDataset, device: torch.device) -> Tensor | None:
    """A factor for the pixels of each class, (K,) float32, by the class weighting; none if it is natural."""
    class_weighting, (height, width) = spec.protocol.class_weighting, train.label_size
    if class_weighting == "natural":
        return None
    pixels = train.class_pixels(spec.num_classes)
    weights = class_weights(class_weighting, spec.dataset, pixels, height * width)
    return torch.from_numpy(weights).to(device)


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
    total = F.cross_entropy(logits.float(), target, weights, ignore_index=VOID, reduction="sum")
    counted = labeled_pixels(target) if pixels is None else pixels
    return total / counted.clamp(min=1)
