"""The protocol's optimizer and learning-rate schedule."""

import math

import torch
from torch import nn

from harness.config.protocol import Protocol

WARMUP_SHARE = 0.1
POLY_POWER = 0.9  # DeepLab's (arXiv 1606.00915)


def learning_rate(protocol: Protocol, iteration: int) -> float:
    """The rate of iteration 0 ... iterations - 1.

    `fixed` is the paper's. `warmup-cosine` rises linearly over the first tenth and falls to zero on a cosine:
    for runs too short for a fixed rate. `poly` falls to zero as (1 - iteration / iterations) ** 0.9.
    """
    if protocol.lr_scheduler == "fixed":
        return protocol.lr
    if protocol.lr_scheduler == "poly":
        return protocol.lr * math.pow(1 - iteration / protocol.iterations, POLY_POWER)
    rise = max(1, round(WARMUP_SHARE * protocol.iterations))
    if iteration < rise:
        return protocol.lr * (iteration + 1) / rise
    share = (iteration - rise) / max(1, protocol.iterations - rise)
    return protocol.lr * 0.5 * (1 + math.cos(math.pi * share))


def build_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """SGD with momentum, or AdamW, over three groups, as in the original solver files.

    Weights and batch-norm scales decay; batch-norm shifts only if the protocol says so; biases of
    convolutions don't and learn `bias_lr_mult` times as fast. Each group carries its `factor`, by which
    `set_rate` multiplies.
    """
    decayed: list[nn.Parameter] = []
    shifts: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad:
                target = decayed if name != "bias" else shifts if is_norm else biases
                target.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": protocol.weight_decay, "factor": 1.0},
        {
            "params": shifts,
            "weight_decay": protocol.weight_decay if protocol.decay_bn_bias else 0.0,
            "factor": 1.0,
        },
        {"params": biases, "weight_decay": 0.0, "factor": protocol.bias_lr_mult},
    ]
    groups = [group for group in groups if group["params"]]
    if protocol.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=protocol.lr, betas=(protocol.momentum, 0.999), fused=True)
    return torch.optim.SGD(groups, lr=protocol.lr, momentum=protocol.momentum, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
