"""Bytes of the tensors alive in a forward pass or a training step, and their peak.

Counted are the bytes of distinct storages, from the operator that made them until they are freed, whoever
holds them (variables, autograd's saved tensors, an optimizer): views and in-place operators add nothing. Not
counted is what a kernel needs only while it runs (cuDNN and oneDNN workspaces), nor an allocator's rounding
and caches.

Under FakeTensorMode the operators are carried out on shapes alone, so that a training step takes no memory
and a fraction of a second. The figure is that of torch's CPU code path, whatever device is measured, on one
thread, whatever machine counts: `architectures.pooling.cpu` works in pieces that grow with the threads.
"""

import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from architectures.base import Architecture
from harness.config.run_spec import Precision
from harness.profiling.workload import Build, TrainingStep, built, for_inference, label_batch, noise_batch
from harness.records.measurement import Optimizer
from harness.records.measurement_values import Live
from harness.training.amp import autocast

_CPU = torch.device("cpu")
_THREADS = 1


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
        # (changes before it, key of a storage, 1 saved by autograd or -1 released), in order
        self._savings: list[tuple[int, int, int]] = []
        self._met = 0  # storages so far; the next one's key
        self._peak_at = 0
        self.live_bytes = 0
        self.peak_bytes = 0

    def hold(self, tree: Any) -> None:
        """Count the tensors in a tree, as of lists; those already counted add nothing."""
        for leaf in tree_iter(tree):
            if isinstance(leaf, Tensor):
                self._meet(leaf)

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

    def saved_at_peak(self) -> set[int]:
        """Keys of the storages that autograd had saved when the peak was first reached."""
        saved: dict[int, int] = {}
        for moment, key, change in self._savings:
            if moment < self._peak_at:
                saved[key] = saved.get(key, 0) + change
        return {key for key, times in saved.items() if times}

    def watch_saving(self) -> saved_tensors_hooks:
        """The context in which what autograd saves is noted."""
        return saved_tensors_hooks(self._pack, lambda packed: packed.tensor)

    def keys(self, tensors: Iterable[Tensor]) -> set[int]:
        """Keys of the storages of these tensors, as far as they are counted."""
        ids = {id(tensor.untyped_storage()) for tensor in tensors}
        return {self._alive[one][0] for one in ids if one in self._alive}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.hold((args, kwargs))
        result = func(*args, **kwargs)
        self.hold(result)
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)  # type: ignore[no-untyped-call]
        for finalizer in self._finalizers:
            finalizer.detach()

    def _pack(self, tensor: Tensor) -> "_Packed":
        self._meet(tensor)
        key = self._alive[id(tensor.untyped_storage())][0]
        packed = _Packed(tensor.detach())  # itself it would hold the node that saves it, in a circle
        self._note_saving(key, 1)
        finalizer = weakref.finalize(packed, self._note_saving, key, -1)
        finalizer.atexit = False
        self._finalizers.append(finalizer)
        return packed

    def _note_saving(self, key: int, change: int) -> None:
        self._savings.append((len(self._changes), key, change))

    def _meet(self, tensor: Tensor) -> None:
        # torch keeps one Python object for a storage's whole life: its id and a weak reference stand for it
        storage = tensor.untyped_storage()
        size = storage.nbytes()
        known = self._alive.get(id(storage))
        if known is None:
            key = self._met
            self._met += 1
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


class _Packed:
    """A tensor as autograd holds it; its end is that of the saving."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


@contextmanager
def _counting(fake: bool) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(_THREADS)
    try:
        with FakeTensorMode() if fake else nullcontext():
            yield
    finally:
        torch.set_num_threads(threads)


def live_inference(build: Build, *, batch: int, size: tuple[int, int], precision: Precision, fake: bool = True) -> Live:
    """Peak of a forward pass of a batch (batch, 3, *size) without gradients, the input included.

    no_grad stands for inference_mode, which keeps the same tensors alive but shows a dispatch mode composite
    operators whole, so that the tensors made inside them would be missed. bf16 runs under autocast, its weights
    converted before; fp32 and tf32 are alike in what they keep. fake: on shapes alone; False carries the pass out.
    """
    with _counting(fake):
        model, images = for_inference(built(build), precision), noise_batch(batch, size)
        kept = _Kept(model)
        with LiveTensors() as live, torch.no_grad(), autocast(precision, _CPU):
            live.hold([*model.parameters(), *model.buffers(), images])
            live.reset_peak()
            with kept.watched_by(live):
                model(images)
            parts = {
                "weights_bytes": live.keys(model.parameters()),
                "decoder_storage_bytes": kept.keys,
                "input_bytes": live.keys([images]),
            }
    return _split(live, batch, parts)


def live_training(
    build: Build,
    *,
    batch: int,
    size: tuple[int, int],
    label_size: tuple[int, int],
    num_classes: int,
    precision: Precision,
    optimizer: Optimizer = "sgd",
    fake: bool = True,
) -> Live:
    """Peak of the second training step, in which the optimizer's state exists from the start.

    Labels are of label_size, the logits' own. bf16 runs under autocast; fp32 and tf32 are alike in what they keep.
    fake: on shapes alone; False carries the steps out.
    """
    with _counting(fake):
        model = built(build).train()
        images = noise_batch(batch, size)
        labels = label_batch(batch, label_size, num_classes, _CPU)
        step, kept = TrainingStep(model, precision, optimizer), _Kept(model)
        with LiveTensors() as live:
            live.hold([*model.parameters(), *model.buffers(), images, labels])
            step(images, labels)
            live.reset_peak()
            with kept.watched_by(live), live.watch_saving():
                step(images, labels)
            parts = {
                "weights_bytes": live.keys(model.parameters()),
                "gradients_bytes": live.keys(p.grad for p in model.parameters() if p.grad is not None),
                "optimizer_state_bytes": live.keys(step.state()),
                "decoder_storage_bytes": kept.keys,
                "kept_for_backward_bytes": live.saved_at_peak(),
                "input_bytes": live.keys([images, labels]),
            }
    return _split(live, batch, parts)


class _Kept:
    """Keys of the storages that a network's encoder hands to its decoder, seen as it does so.

    None for a network that is none of `architectures` and says nothing of its decoder.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.keys: set[int] = set()

    @contextmanager
    def watched_by(self, live: LiveTensors) -> Iterator[None]:
        model = self._model
        encoder = dict(model.named_children()).get("encoder")
        if not isinstance(model, Architecture) or encoder is None:
            yield
            return

        def note(module: nn.Module, args: Any, encoded: Any) -> None:
            self.keys |= live.keys(tensor for tensors in model.kept_of(encoded) for tensor in tensors)

        handle = encoder.register_forward_hook(note)
        try:
            yield
        finally:
            handle.remove()


def _split(live: LiveTensors, batch: int, parts: Mapping[str, set[int]]) -> Live:
    """The peak by parts; a storage counts in the first that it belongs to."""
    alive = live.alive_at_peak()
    sizes = dict.fromkeys(("gradients_bytes", "optimizer_state_bytes", "kept_for_backward_bytes"), 0)  # in inference
    for name, keys in parts.items():
        sizes[name] = sum(alive.pop(key) for key in keys & alive.keys())
    return Live(
        batch_size=batch,
        threads=_THREADS,
        torch=torch.__version__,
        peak_bytes=live.peak_bytes,
        rest_bytes=sum(alive.values()),
        **sizes,
    )
