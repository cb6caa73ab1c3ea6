"""The losses that a protocol can name, and what they ask of it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.system.registry import Registry, entries_of_package

if TYPE_CHECKING:
    from torch import Tensor

# (logits (B, K, h, w) of any float type, target (B, h, w) int64 with void as 255, labeled pixels of the whole
# batch (), of which this may be a part) -> loss (), float32; a batch without labeled pixels gives 0.
LossFunction = Callable[["Tensor", "Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss by name.

    build: class weights (K,) float32, or none, -> the function of a training step; may import what it needs.
    class_weights: whether it takes any.
    splits: whether the losses of a batch's parts add up to that of the batch, as sums over pixels do.
    """

    build: Callable[[Tensor | None], LossFunction]
    class_weights: bool
    splits: bool


_OF_SMP = [
    (name, f"harness.training.smp_losses:{name.upper()}") for name in ("dice", "focal", "jaccard", "lovasz", "tversky")
]
LOSSES: Registry[Loss] = Registry("loss", sorted([*entries_of_package("harness.training.losses", "LOSS"), *_OF_SMP]))
