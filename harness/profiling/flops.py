"""Parameters, model size, multiply-accumulates and bytes moved of an architecture, without running it."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from architectures.base import Architecture
from architectures.pooling import STORAGES, IndexPool, Pooled, Storage, set_storage
from harness.config.run_spec import Precision
from harness.profiling.workload import (
    Build,
    TrainingStep,
    built,
    cross_entropy,
    for_inference,
    label_batch,
    noise_batch,
)
from harness.records.measurement import Optimizer
from harness.training.amp import autocast

BYTES_A_PARAMETER = 4  # float32, whatever precision is measured: the Caffe file holds nothing else
_NO_WORK = frozenset(
    {"empty", "empty_like", "empty_strided", "new_empty", "lift_fresh", "_unsafe_view", "resize", "set"}
)
# In place, these do not read what they overwrite.
_OVERWRITING = frozenset({"bernoulli", "copy", "fill", "normal", "random", "uniform", "zero"})
_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of a network.

    parameters: weights, biases, batch-norm scale and shift; running statistics are none, nor does Caffe's
        file hold them.
    trainable: those of them that require a gradient.
    model_size_mb: 4 bytes a parameter, in 10^6 bytes.
    gmacs: multiply-accumulates of a forward pass of one image, in 10^9: half of torch's FLOP count, which
        knows convolutions and matrix products, without their biases.
    training_gmacs: the same of a forward and a backward pass of one image, in training mode.
    not_counted: operators of that pass that torch's count does not know, views left out.
    logits_size: height and width of the logits of one image.
    """

    parameters: int
    trainable: int
    model_size_mb: float
    gmacs: float
    training_gmacs: float
    not_counted: tuple[str, ...]
    logits_size: tuple[int, int]


def count(build: Build, size: tuple[int, int]) -> Counts:
    """Count on shapes alone (FakeTensorMode), which takes no memory.

    Args:
        build: makes the network.
        size: height and width of the image.
    """
    with FakeTensorMode():
        model = built(build).eval()
        images = noise_batch(1, size)
        with torch.no_grad(), _Uncounted() as others, _flop_counter() as flops:
            logits: Tensor = model(images)
        training_flop = _training_flop(model, size)
        parameters = list(model.parameters())
    number = sum(parameter.numel() for parameter in parameters)
    height, width = logits.shape[2:]
    return Counts(
        parameters=number,
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        model_size_mb=BYTES_A_PARAMETER * number / 1e6,
        gmacs=flops.get_total_flops() / 2 / 1e9,
        training_gmacs=training_flop / 2 / 1e9,
        not_counted=tuple(sorted(others.names)),
        logits_size=(height, width),
    )


def _flop_counter() -> FlopCounterMode:
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
    with _flop_counter() as flops:
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
        images = noise_batch(1, size)
        for storage in STORAGES:
            set_storage(model, storage)
            kept = model.kept_for_decoder(images) if isinstance(model, Architecture) else ()
            found[storage] = tuple(sum(tensor.nbytes for tensor in tensors) for tensors in kept)
    return found


def moved_bytes(
    build: Build,
    size: tuple[int, int],
    batch: int,
    training: bool,
    num_classes: int,
    precision: Precision,
    optimizer: Optimizer = "sgd",
) -> tuple[int, int]:
    """Floating-point operations of a pass, and the bytes that its operators read and write, each by itself.

    Operators are those of torch's CPU code path, carried out on shapes alone (FakeTensorMode). Each reads the
    distinct tensors that it is given and writes those that it gives or changes; views and what allocates
    move nothing. A pooling that keeps indices, and an unpooling, are an operator each, whose indices count
    as they are stored. Compiled networks move less, since operators are fused.

    Args:
        build: makes the network.
        size: height and width of the images.
        batch: images.
        training: a whole training step instead of a forward pass in evaluation mode.
        num_classes: K, of the labels.
        precision: bf16 runs under autocast, in inference with weights converted before; fp32 and tf32 are alike.
        optimizer: of the training step.

    Returns:
        Floating-point operations (2 a multiply-accumulate), bytes.
    """
    with FakeTensorMode():
        model = built(build)
        images = noise_batch(batch, size)
        moved, flops = _Moved(), _flop_counter()
        moved.watch_indices(model)
        if training:
            model.train()
            with torch.no_grad():
                height, width = model(images).shape[2:]
            labels = label_batch(batch, (height, width), num_classes, _CPU)
            step = TrainingStep(model, precision, optimizer)
            step(images, labels)  # makes the optimizer's state
            with moved, flops:
                step(images, labels)
        else:
            for_inference(model, precision)
            # for inference_mode, which shows a dispatch mode composite operators whole
            with moved, flops, torch.no_grad(), autocast(precision, _CPU):
                model(images)
        return flops.get_total_flops(), moved.total()


class _Moved(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the bytes that each operator reads and writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # storages are held, so that no other gets the id of one
        self._noted: list[tuple[torch.UntypedStorage, int]] = []
        self._indices: list[tuple[torch.UntypedStorage, int]] = []  # and int64's size over the stored one's

    def watch_indices(self, model: nn.Module) -> None:
        """Let torch's own int64 pair, one operator each, stand for every pooling that keeps indices."""
        for module in model.modules():
            if isinstance(module, IndexPool):
                divisor = {"int64": 1, "uint8": 8, "2bit": 32}[module.storage]
                module.register_forward_hook(self._noting_indices(divisor))
        set_storage(model, "int64")

    def total(self) -> int:
        """Bytes so far."""
        divisors = {id(storage): divisor for storage, divisor in self._indices}
        return sum(size // divisors.get(id(storage), 1) for storage, size in self._noted)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not _works(func):
            return result
        given, changed = _arguments(func, args, kwargs or {})
        written = _distinct([*_tensors(result), *changed])
        if written:  # what only looks at sizes or strides gives no tensor
            self._note(written)
            self._note(_distinct(given))
        return result

    def _noting_indices(self, divisor: int) -> Callable[[nn.Module, Any, tuple[Tensor, Pooled]], None]:
        def note(module: nn.Module, args: Any, output: tuple[Tensor, Pooled]) -> None:
            self._indices.append((output[1].indices.untyped_storage(), divisor))

        return note

    def _note(self, tensors: Iterable[Tensor]) -> None:
        self._noted += [(tensor.untyped_storage(), _touched_bytes(tensor)) for tensor in tensors]


def _arguments(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that an operator reads, and those that it changes."""
    given: list[Tensor] = []
    changed: list[Tensor] = []
    overwrites = func._overloadpacket.__name__.removesuffix("_") in _OVERWRITING
    for position, argument in enumerate(func._schema.arguments):
        value = args[position] if position < len(args) else kwargs.get(argument.name)
        is_changed = argument.alias_info is not None and argument.alias_info.is_write
        tensors = _tensors(value)
        if is_changed:
            changed += tensors
        if not (is_changed and (overwrites or argument.is_out)):
            given += tensors
    return given, changed


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_iter(tree) if isinstance(leaf, Tensor)]


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    found = {(id(one.untyped_storage()), one.storage_offset(), one.shape, one.stride()): one for one in tensors}
    return list(found.values())


def _touched_bytes(tensor: Tensor) -> int:
    """Bytes of its values; those that expanding repeats count once."""
    sides = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.element_size() * math.prod(side if stride else min(side, 1) for side, stride in sides)


class _Uncounted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Collects the names of operators without a FLOP formula."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet = func._overloadpacket
        if _works(func) and packet not in flop_registry:
            self.names.add(packet.__name__.removesuffix("_"))
        return func(*args, **(kwargs or {}))


def _works(func: Any) -> bool:
    name = func._overloadpacket.__name__.removesuffix("_")
    return func.namespace == "aten" and name not in _NO_WORK and not _is_view(func)


def _is_view(func: Callable[..., Any]) -> bool:
    aliases = [result.alias_info for result in func._schema.returns]  # type: ignore[attr-defined]
    return any(alias is not None and not alias.is_write for alias in aliases)
