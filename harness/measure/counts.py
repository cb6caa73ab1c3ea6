"""Parameters, model size and multiply-accumulates of an architecture, without running it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from architectures.base import Architecture
from architectures.pooling import STORAGES, Storage, set_storage
from harness.measure.workload import Build, built, image_batches

BYTES_A_PARAMETER = 4  # float32, whatever precision is measured: the Caffe file holds nothing else
_NO_WORK = frozenset({"empty", "empty_like", "empty_strided", "new_empty", "lift_fresh"})


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of a network.

    parameters: weights, biases, batch-norm scale and shift; running statistics are none, nor does Caffe's
        file hold them.
    trainable: those of them that require a gradient.
    model_size_mb: 4 bytes a parameter, in 10^6 bytes.
    gmacs: multiply-accumulates of a forward pass of one image, in 10^9: half of torch's FLOP count, which
        knows convolutions and matrix products, without their biases.
    not_counted: operators of that pass that torch's count does not know, views left out.
    logits_size: height and width of the logits of one image.
    """

    parameters: int
    trainable: int
    model_size_mb: float
    gmacs: float
    not_counted: tuple[str, ...]
    logits_size: tuple[int, int]


def count(build: Build, size: tuple[int, int]) -> Counts:
    """Count on shapes alone (FakeTensorMode), which takes no memory.

    Args:
        build: makes the network.
        size: height and width of the image.
    """
    with FakeTensorMode(), torch.no_grad():
        model = built(build).eval()
        [images] = image_batches(1, 1, size, torch.device("cpu"))
        with _Uncounted() as others, FlopCounterMode(display=False) as flops:
            logits: Tensor = model(images)
        parameters = list(model.parameters())
    number = sum(parameter.numel() for parameter in parameters)
    height, width = logits.shape[2:]
    return Counts(
        parameters=number,
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        model_size_mb=BYTES_A_PARAMETER * number / 1e6,
        gmacs=flops.get_total_flops() / 2 / 1e9,
        not_counted=tuple(sorted(others.names)),
        logits_size=(height, width),
    )


def decoder_storage(build: Build, size: tuple[int, int]) -> dict[Storage, tuple[int, ...]]:
    """Bytes kept for the decoder of each pooling of one image, for each way to store indices.

    Counted on the tensors that the network keeps, without memory (FakeTensorMode). Empty where the network is
    none of `architectures`, or has no decoder.

    Args:
        build: makes the network.
        size: height and width of the image.
    """
    found: dict[Storage, tuple[int, ...]] = {}
    with FakeTensorMode(), torch.no_grad():
        model: nn.Module = built(build).eval()
        [images] = image_batches(1, 1, size, torch.device("cpu"))
        for storage in STORAGES:
            set_storage(model, storage)
            kept = model.kept_for_decoder(images) if isinstance(model, Architecture) else ()
            found[storage] = tuple(sum(tensor.nbytes for tensor in tensors) for tensors in kept)
    return found


class _Uncounted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the names of operators without a FLOP formula."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet = func._overloadpacket
        name = packet.__name__.removesuffix("_")
        works = func.namespace == "aten" and name not in _NO_WORK and not _is_view(func)
        if works and packet not in flop_registry:
            self.names.add(name)
        return func(*args, **(kwargs or {}))


def _is_view(func: Callable[..., Any]) -> bool:
    aliases = [result.alias_info for result in func._schema.returns]  # type: ignore[attr-defined]
    return any(alias is not None and not alias.is_write for alias in aliases)
