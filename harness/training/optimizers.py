"""The protocol's optimizer over the model's groups of parameters."""

import inspect
from pkgutil import resolve_name
from typing import Any

import torch
from torch import nn

from harness.config.optimizers import OPTIMIZERS
from harness.config.protocol import Protocol


def build_optimizer(model: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """The protocol's optimizer over three groups, as in the original solver files.

    Each group carries its `factor`, by which `set_rate` multiplies.
    """
    return optimizer_over(parameter_groups(model, protocol), protocol.optimizer, protocol.lr, protocol.momentum)


def optimizer_over(groups: list[dict[str, Any]], name: str, lr: float, momentum: float) -> torch.optim.Optimizer:
    """The optimizer of that name over groups of parameters, as torch takes them.

    The momentum is the class's, or the first of its betas; the other betas are those of the class.
    """
    optimizer = OPTIMIZERS[name]
    make = resolve_name(optimizer.target)
    settings: dict[str, Any] = {**optimizer.settings, "lr": lr}
    if any(parameter.is_complex() for group in groups for parameter in group["params"]):
        settings.pop("fused", None)  # these kernels take real numbers alone
    if optimizer.momentum == "momentum":
        settings["momentum"] = momentum
    elif optimizer.momentum == "betas":
        settings["betas"] = (momentum, *inspect.signature(make).parameters["betas"].default[1:])
    made: torch.optim.Optimizer = make(groups, **settings)
    return made


def parameter_groups(model: nn.Module, protocol: Protocol) -> list[dict[str, Any]]:
    """Trainable parameters in up to three groups, each parameter once, however many modules share it.

    Weights and batch-norm scales decay; batch-norm shifts only if the protocol says so; biases of
    convolutions don't and learn `bias_lr_mult` times as fast.
    """
    decayed: list[nn.Parameter] = []
    shifts: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()  # by identity
    for module in model.modules():
        is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
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
    return [group for group in groups if group["params"]]


def restore_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Take up an optimizer's state of a checkpoint, laid out in memory as the parameters are here.

    They may lie otherwise than where it was written; torch keeps the state's own strides, and its fused steps on a
    CPU go by memory alone: a parameter would get the momentum of others.
    """
    optimizer.load_state_dict(state)
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                kept[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
