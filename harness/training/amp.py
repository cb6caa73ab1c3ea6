"""Numerical precision of a run: float32 throughout, TF32 in matrix products, or bfloat16 autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch

from harness.config.run_spec import Precision


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
