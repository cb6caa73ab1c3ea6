"""The optimizers and lr schedulers that a protocol can name. Imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from harness.system.registry import Registry

_FUSED = MappingProxyType({"fused": True})


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """An optimizer by name, with the defaults of its class but for what stands here.

    title: for reports. target: "module:Class". momentum: what the protocol's momentum sets: the argument of that
    name, the first of `betas`, or none where the class has neither. states: tensors of the parameters' size that it
    keeps. settings: further arguments of the class.
    """

    title: str
    target: str
    momentum: Literal["momentum", "betas"] | None
    states: int
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    [
        ("sgd", Optimizer(title="SGD", target="torch.optim:SGD", momentum="momentum", states=1, settings=_FUSED)),
        ("adamw", Optimizer(title="AdamW", target="torch.optim:AdamW", momentum="betas", states=2, settings=_FUSED)),
        ("adam", Optimizer(title="Adam", target="torch.optim:Adam", momentum="betas", states=2, settings=_FUSED)),
        ("adadelta", Optimizer(title="Adadelta", target="torch.optim:Adadelta", momentum=None, states=2)),
        ("adagrad", Optimizer(title="Adagrad", target="torch.optim:Adagrad", momentum=None, states=1)),
        ("adamax", Optimizer(title="Adamax", target="torch.optim:Adamax", momentum="betas", states=2)),
        ("nadam", Optimizer(title="NAdam", target="torch.optim:NAdam", momentum="betas", states=2)),
        ("radam", Optimizer(title="RAdam", target="torch.optim:RAdam", momentum="betas", states=2)),
        ("rmsprop", Optimizer(title="RMSprop", target="torch.optim:RMSprop", momentum="momentum", states=2)),
        ("adabelief", Optimizer(title="AdaBelief", target="timm.optim:AdaBelief", momentum="betas", states=2)),
        ("adamp", Optimizer(title="AdamP", target="timm.optim:AdamP", momentum="betas", states=2)),
        ("adan", Optimizer(title="Adan", target="timm.optim:Adan", momentum="betas", states=4)),
        ("adopt", Optimizer(title="ADOPT", target="timm.optim:Adopt", momentum="betas", states=2)),
        ("lamb", Optimizer(title="LAMB", target="timm.optim:Lamb", momentum="betas", states=2)),
        ("laprop", Optimizer(title="LaProp", target="timm.optim:LaProp", momentum="betas", states=2)),
        ("lars", Optimizer(title="LARS", target="timm.optim:Lars", momentum="momentum", states=1)),
        ("lion", Optimizer(title="Lion", target="timm.optim:Lion", momentum="betas", states=1)),
        ("madgrad", Optimizer(title="MADGRAD", target="timm.optim:MADGRAD", momentum="momentum", states=3)),
        ("mars", Optimizer(title="MARS", target="timm.optim:Mars", momentum="betas", states=3)),
        ("nadamw", Optimizer(title="NAdamW", target="timm.optim:NAdamW", momentum="betas", states=2)),
        ("novograd", Optimizer(title="NovoGrad", target="timm.optim:NvNovoGrad", momentum="betas", states=1)),
        ("rmsproptf", Optimizer(title="RMSprop (TF)", target="timm.optim:RMSpropTF", momentum="momentum", states=2)),
        ("sgdp", Optimizer(title="SGDP", target="timm.optim:SGDP", momentum="momentum", states=1)),
        ("sgdw", Optimizer(title="SGDW", target="timm.optim:SGDW", momentum="momentum", states=1)),
    ],
)

# (protocol, iteration 0 ... iterations - 1) -> learning rate of that iteration
LR_SCHEDULERS: Registry[Callable[[Any, int], float]] = Registry(
    "lr_scheduler",
    [
        ("fixed", "harness.training.lr_schedulers:fixed"),
        ("warmup-cosine", "harness.training.lr_schedulers:warmup_cosine"),
        ("poly", "harness.training.lr_schedulers:poly"),
    ],
)
