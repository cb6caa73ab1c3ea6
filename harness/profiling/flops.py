"""What follows from shapes alone: parameters, multiply-accumulates, decoder storage and live tensors."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from architectures.base import Architecture
from architectures.pooling import STORAGES, Storage, set_storage
from harness.config.run_spec import Precision
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.workload import Build, built, cross_entropy, label_batch, noise_batch
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH, Optimizer
from harness.records.measurement_values import Counts, DecoderStorage, Shapes

BYTES_A_PARAMETER = 4  # float32, whatever precision is measured: the Caffe file holds nothing else
_NO_WORK = frozenset(
    {"empty", "empty_like", "empty_strided", "new_empty", "lift_fresh", "_unsafe_view", "resize", "set"}
)
_CPU = torch.device("cpu")


def count(build: Build, size: tuple[int, int]) -> Counts:
    """Count on shapes alone (FakeTensorMode), which takes no memory, for one image of a size (height, width)."""
    with FakeTensorMode():
        model, images = built(build).eval(), noise_batch(1, size)
        with torch.no_grad(), _Uncounted() as others, flop_counter() as flops:
            model(images)
        training_flop = _training_flop(model, size)
        parameters = list(model.parameters())
    number = sum(parameter.numel() for parameter in parameters)
    return Counts(
        parameters=number,
        trainable_parameters=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        model_size_mb=BYTES_A_PARAMETER * number / 1e6,
        gmacs=flops.get_total_flops() / 2 / 1e9,
        training_gmacs=training_flop / 2 / 1e9,
        gmacs_not_counted=tuple(sorted(others.names)),
    )


def shapes(
    build: Build, size: tuple[int, int], num_classes: int, precision: Precision, optimizer: Optimizer = "sgd"
) -> Shapes:
    """Counts, decoder storage and live tensors, without running the network, in some seconds and next to no memory.

    Live tensors are of the precision and the optimizer; counts are alike in all.
    """
    kept = decoder_storage(build, size)
    return Shapes(
        **dict(count(build, size)),
        decoder_storage=DecoderStorage(
            int64_bytes=kept["int64"], uint8_bytes=kept["uint8"], two_bit_bytes=kept["2bit"]
        ),
        inference_live=live_inference(build, batch=INFERENCE_BATCH, size=size, precision=precision),
        training_live=live_training(
            build,
            batch=TRAINING_BATCH,
            size=size,
            label_size=logits_size(build, size),
            num_classes=num_classes,
            precision=precision,
            optimizer=optimizer,
        ),
    )


def flop_counter() -> FlopCounterMode:
    """Torch's counter, which does not know the product in place of `architectures.windows`.

    In the backward pass of grouped convolutions it counts as if there were no groups.
    """
    known = {
        torch.ops.aten.addmm_: _product_flop,
        torch.ops.aten.convolution_backward: _convolution_backward_flop,
    }
    return FlopCounterMode(display=False, custom_mapping=known)


def _product_flop(target: torch.Size, left: torch.Size, right: torch.Size, **others: Any) -> int:
    return 2 * math.prod(left) * right[1]


def _convolution_backward_flop(
    gradient: torch.Size, images: torch.Size, weight: torch.Size, *others: Any, **outputs: Any
) -> int:
    """Each gradient, of images and of weights, takes as many as the forward pass: every product once."""
    _, _, _, _, transposed, _, _, wanted = others
    places = (images if transposed else gradient)[2:]
    gradients: int = sum(wanted[:2])
    return 2 * images[0] * math.prod(places) * math.prod(weight) * gradients


def _training_flop(model: nn.Module, size: tuple[int, int]) -> float:
    """Of one image: half of those of two, for batch norm behind global pooling refuses a single value."""
    model.train()
    images = noise_batch(2, size)
    with flop_counter() as flops:
        logits = model(images)
        height, width = logits.shape[2:]
        labels = label_batch(2, (height, width), logits.shape[1], _CPU)
        cross_entropy(logits, labels).backward()  # type: ignore[no-untyped-call]
    return float(flops.get_total_flops()) / 2


def logits_size(build: Build, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the logits of an image of this size, found on shapes alone."""
    with FakeTensorMode(), torch.no_grad():
        model = built(build).eval()
        images = noise_batch(1, size)
        height, width = model(images).shape[2:]
    return height, width


def decoder_storage(build: Build, size: tuple[int, int]) -> dict[Storage, tuple[int, ...]]:
    """Bytes kept for the decoder of each pooling of one image (height, width), for each way to store indices.

    Counted on the tensors that the network keeps, without memory (FakeTensorMode). Empty where the network is
    none of `architectures`, or has no decoder.
    """
    found: dict[Storage, tuple[int, ...]] = {}
    with FakeTensorMode(), torch.no_grad():
        model: nn.Module = built(build).eval()
        images = noise_batch(1, size)
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
        if works(func) and packet not in flop_registry:
            self.names.add(packet.__name__.removesuffix("_"))
        return func(*args, **(kwargs or {}))


def works(func: Any) -> bool:
    """Whether an operator does more than allocate, or look at a tensor in another way."""
    name = func._overloadpacket.__name__.removesuffix("_")
    return func.namespace == "aten" and name not in _NO_WORK and not _is_view(func)


def _is_view(func: Callable[..., Any]) -> bool:
    aliases = [result.alias_info for result in func._schema.returns]  # type: ignore[attr-defined]
    return any(alias is not None and not alias.is_write for alias in aliases)
