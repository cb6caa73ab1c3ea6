"""Numerical precision: float32 throughout, TF32 in matrix products, or bfloat16 autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from architectures.padded import PaddedConv2d, PaddedConvTranspose2d
from architectures.windows import SmallMapConv2d, WholeMapConv2d, WholeMapConvTranspose2d
from harness.config.run_spec import Precision

# Layers that do nothing with their parameters but multiply and add, which autocast does in bfloat16. Of each
# the exact class: a class derived from one may do more.
_MULTIPLYING = frozenset(
    {
        nn.Conv2d,
        nn.ConvTranspose2d,
        nn.Linear,
        PaddedConv2d,
        PaddedConvTranspose2d,
        SmallMapConv2d,
        WholeMapConv2d,
        WholeMapConvTranspose2d,
    }
)


def apply_precision(precision: Precision) -> None:
    """Set torch's process-wide TF32 switches explicitly: their defaults differ between matmul and cuDNN."""
    allowed = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context that forward passes run in."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def memory_layout(precision: Precision, device: str) -> torch.memory_format:
    """The order of channels in which convolutions take least time.

    In float32 oneDNN reorders for itself, and the fused optimizer is slow on permuted weights; in bfloat16 that is
    less than what the reordering of all maps takes: on two cores with AMX 15 % of FCN-8s's training step, 30 % of
    DeepLab's, and half of an inference of either.
    """
    last = device == "cuda" or precision == "bf16"
    return torch.channels_last if last else torch.contiguous_format


def convert_weights(model: nn.Module, precision: Precision) -> None:
    """Convert what autocast would convert again at every pass, once and in place; for inference alone.

    Forward passes still run under `autocast`, which leaves converted weights as they are. Results are those
    without conversion to the bit. Nothing happens in fp32 and tf32.
    """
    if precision != "bf16":
        return
    converted: dict[nn.Parameter, nn.Parameter] = {}  # several modules may share one
    for module in model.modules():
        if type(module) in _MULTIPLYING:
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter not in converted:
                    converted[parameter] = nn.Parameter(parameter.detach().bfloat16(), requires_grad=False)
                module.register_parameter(name, converted[parameter])
