"""Batch norm folded into the convolutions in front of it, for inference.

In evaluation mode batch norm multiplies and shifts each map by constants, which the weights and bias of the
convolution can take over: one pass over the maps less. Outputs are the same but for rounding, which may also
decide otherwise which of two like maxima a pooling takes.
"""

from __future__ import annotations

import copy
from collections import Counter

import torch
from torch import Tensor, nn

from architectures.architecture_info import ArchitectureError

BatchNorm = nn.modules.batchnorm._BatchNorm


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of the network in evaluation mode in which convolutions have taken over their batch norms.

    Folded is each batch norm that directly follows a convolution or deconvolution in an `nn.Sequential`; it
    is taken out of that block, and the layers that stay keep their names. Its running statistics become part
    of the weights: a later training or re-estimation of the copy makes no sense. `folded_norms` counts them.

    Raises:
        ArchitectureError: a batch norm would be left, or there is none. Nothing is folded by halves: what is
            called folded is compared as such.
    """
    folded = copy.deepcopy(network).eval()
    places = Counter(id(module) for _, module in folded.named_modules(remove_duplicate=False))
    blocks = [part for part in folded.modules() if isinstance(part, nn.Sequential)]
    count = sum(_fold_block(block, places) for block in blocks)
    left = [name for name, module in folded.named_modules() if isinstance(module, BatchNorm)]
    if left:
        raise ArchitectureError(
            f"{left[0]}: a batch norm can be folded only if it directly follows a convolution in an "
            "nn.Sequential, both used in one place; use the network unfolded"
        )
    if count == 0:
        raise ArchitectureError(f"{type(network).__name__}: no batch norm to fold; use the network unfolded")
    folded.folded_norms = count  # type: ignore[assignment]
    return folded


def _fold_block(block: nn.Sequential, places: Counter[int]) -> int:
    """Fold the batch norms of one block in place; how many.

    Args:
        block: the block.
        places: in how many places of the network each module stands, by id.
    """
    count = 0
    previous: nn.Module | None = None
    for name, layer in list(block.named_children()):
        alone = previous is not None and places[id(previous)] == places[id(layer)] == 1
        if alone and isinstance(layer, BatchNorm) and isinstance(previous, nn.Conv2d | nn.ConvTranspose2d):
            _fold(previous, layer)
            delattr(block, name)
            count += 1
        previous = layer
    return count


@torch.no_grad()
def _fold(convolution: nn.Conv2d | nn.ConvTranspose2d, norm: BatchNorm) -> None:
    """Multiply the weights of each output map by gamma / sqrt(variance + eps); the bias takes the shift.

    The factors are taken in float64: a map of little variance has a large one.
    """
    scale, shift = _scale_and_shift(norm)
    weight = convolution.weight.double() * _by_output_map(convolution, scale)
    bias = shift if convolution.bias is None else convolution.bias.double() * scale + shift
    like = convolution.weight
    convolution.weight = nn.Parameter(weight.to(like), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(like), requires_grad=False)


def _scale_and_shift(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What batch norm does in evaluation, x * scale + shift: (C,) float64 each."""
    if norm.running_mean is None or norm.running_var is None:
        raise ArchitectureError("a batch norm without running statistics can't be folded; use it unfolded")
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    return scale, shift if norm.bias is None else shift + norm.bias.double()


def _by_output_map(convolution: nn.Conv2d | nn.ConvTranspose2d, scale: Tensor) -> Tensor:
    """The factors (D,) in a shape that multiplies the convolution's weight map by map.

    A convolution's weight is (D, C / groups, k, l), a deconvolution's (C, D / groups, k, l), whose C maps are
    in order of groups: with g groups, map d of the output belongs to rows of group d // (D / g).
    """
    if not isinstance(convolution, nn.ConvTranspose2d):
        return scale.view(-1, 1, 1, 1)
    by_group = scale.view(convolution.groups, -1)  # (g, D / g)
    rows = convolution.in_channels // convolution.groups
    return by_group.repeat_interleave(rows, 0)[:, :, None, None]
