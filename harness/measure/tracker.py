"""Bytes of the tensors alive in a forward pass or a training step, and their peak.

Counted are the bytes of distinct storages, from the operator that made them until they are freed, whoever
holds them (variables, autograd's saved tensors, an optimiser): views and in-place operators add nothing. Not
counted is what a kernel needs only while it runs (cuDNN and oneDNN workspaces), nor an allocator's rounding
and caches.

Under FakeTensorMode the operators are carried out on shapes alone, so that a training step takes no memory
and a fraction of a second. The figure is that of torch's CPU code path, whatever device is measured.
"""

import weakref
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from harness.measure.workload import Build, TrainingStep, built, image_batches, label_batch
from harness.precision import autocast
from harness.spec import Precision

_CPU = torch.device("cpu")


class LiveTensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts storages while it is entered. Inside FakeTensorMode it sees the operators of a real step.

    One difference to a step without any dispatch mode: where the gradients of two uses of a tensor meet,
    autograd adds them out of place under a mode and in place without, so such a sum counts once more while it
    is made.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._changes: list[tuple[int, int]] = []  # (key of a storage, bytes gained or lost), in order
        self._alive: dict[int, tuple[int, int]] = {}  # id of a live storage -> its key and bytes
        self._finalizers: list[weakref.finalize[..., Any]] = []
        self._peak_at = 0
        self.live_bytes = 0
        self.peak_bytes = 0

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors made before; those already counted add nothing."""
        for tensor in tensors:
            self._meet(tensor)

    def reset_peak(self) -> None:
        """Let the peak be what is alive now."""
        self.peak_bytes = self.live_bytes
        self._peak_at = len(self._changes)

    def alive_at_peak(self) -> dict[int, int]:
        """Key and bytes of every storage alive when the peak was first reached."""
        alive: dict[int, int] = {}
        for key, change in self._changes[: self._peak_at]:
            alive[key] = alive.get(key, 0) + change
        return {key: size for key, size in alive.items() if size}

    def keys(self, tensors: Iterable[Tensor]) -> set[int]:
        """Keys of the storages of these tensors, as far as they are counted."""
        ids = {id(tensor.untyped_storage()) for tensor in tensors}
        return {self._alive[one][0] for one in ids if one in self._alive}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._meet_all((args, kwargs))
        result = func(*args, **kwargs)
        self._meet_all(result)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for finalizer in self._finalizers:
            finalizer.detach()

    def _meet_all(self, tree: Any) -> None:
        for leaf in tree_iter(tree):
            if isinstance(leaf, Tensor):
                self._meet(leaf)

    def _meet(self, tensor: Tensor) -> None:
        # torch keeps one Python object for a storage's whole life: its id and a weak reference stand for it
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        known = self._alive.get(id(storage))
        if known is None:
            key = len(self._finalizers)
            finalizer = weakref.finalize(storage, self._free, id(storage))
            finalizer.atexit = False
            self._finalizers.append(finalizer)
        else:
            key = known[0]
        self._alive[id(storage)] = (key, size)
        self._change(key, size - (known[1] if known else 0))

    def _free(self, one: int) -> None:
        key, size = self._alive.pop(one)
        self._change(key, -size)

    def _change(self, key: int, gained: int) -> None:
        if gained:
            self._changes.append((key, gained))
            self.live_bytes += gained
            if self.live_bytes > self.peak_bytes:
                self.peak_bytes = self.live_bytes
                self._peak_at = len(self._changes)


@dataclass(frozen=True, kw_only=True)
class LiveFigures:
    """Bytes alive at the peak. The rest: input, labels, activations, buffers and gradients of activations."""

    peak_bytes: int
    weights_bytes: int
    gradients_bytes: int = 0
    optimiser_state_bytes: int = 0

    @property
    def rest_bytes(self) -> int:
        """What is neither weight nor gradient of one nor the optimiser's."""
        return self.peak_bytes - self.weights_bytes - self.gradients_bytes - self.optimiser_state_bytes


def live_inference(
    build: Build, *, batch: int, size: tuple[int, int], precision: Precision, fake: bool = True
) -> LiveFigures:
    """Peak of a forward pass in evaluation mode without gradients, the input batch included.

    no_grad stands for inference_mode, which keeps the same tensors alive but shows a dispatch mode composite
    operators whole, so that the tensors made inside them would be missed.

    Args:
        build: makes the network.
        batch: images.
        size: their height and width.
        precision: bf16 runs under autocast; fp32 and tf32 are alike in what they keep.
        fake: on shapes alone; False carries the pass out.
    """
    with FakeTensorMode() if fake else nullcontext():
        model = built(build).eval()
        [images] = image_batches(batch, 1, size, _CPU)
        with LiveTensors() as live, torch.no_grad(), autocast(precision, _CPU):
            live.hold([*model.parameters(), *model.buffers(), images])
            live.reset_peak()
            model(images)
            weights = live.keys(model.parameters())
        alive = live.alive_at_peak()
    return LiveFigures(peak_bytes=live.peak_bytes, weights_bytes=_sum(alive, weights))


def live_training(
    build: Build,
    *,
    batch: int,
    size: tuple[int, int],
    label_size: tuple[int, int],
    num_classes: int,
    precision: Precision,
    fake: bool = True,
) -> LiveFigures:
    """Peak of the second training step, in which the optimiser's state exists from the start.

    Args:
        build: makes the network.
        batch: images.
        size: their height and width.
        label_size: height and width of the logits, at which the loss is taken.
        num_classes: K.
        precision: bf16 runs under autocast; fp32 and tf32 are alike in what they keep.
        fake: on shapes alone; False carries the steps out.
    """
    with FakeTensorMode() if fake else nullcontext():
        model = built(build).train()
        [images] = image_batches(batch, 1, size, _CPU)
        labels = label_batch(batch, label_size, num_classes, _CPU)
        step = TrainingStep(model, precision)
        with LiveTensors() as live:
            live.hold([*model.parameters(), *model.buffers(), images, labels])
            step(images, labels)
            live.reset_peak()
            step(images, labels)
            weights = live.keys(model.parameters())
            gradients = live.keys(p.grad for p in model.parameters() if p.grad is not None)
            state = live.keys(step.state())
        alive = live.alive_at_peak()
    return LiveFigures(
        peak_bytes=live.peak_bytes,
        weights_bytes=_sum(alive, weights),
        gradients_bytes=_sum(alive, gradients),
        optimiser_state_bytes=_sum(alive, state),
    )


def _sum(alive: dict[int, int], keys: set[int]) -> int:
    return sum(alive.get(key, 0) for key in keys)
