"""How much of a device's measured peak a pass reaches: its work, and a matrix product and a copy timed beside it."""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from architectures.pooling import IndexPool, Pooled, set_storage
from harness.config.run_spec import Precision
from harness.profiling.flops import flop_counter, works
from harness.profiling.timing import Clock, CudaClock, Pass, WallClock
from harness.profiling.workload import Build, TrainingStep, built, for_inference, label_batch, noise_batch
from harness.records.measurement import Optimizer
from harness.records.measurement_values import Roofline
from harness.training.amp import apply_precision, autocast

WARMUPS, REPEATS = 3, 10
# In place, these do not read what they overwrite.
_OVERWRITING = frozenset({"bernoulli", "copy", "fill", "normal", "random", "uniform", "zero"})
_CPU = torch.device("cpu")


# Side of the matrices, and bytes of the buffer: enough to keep all of the device busy, and well beyond its caches.
WORK = {"cpu": (1024, 256 * 2**20), "cuda": (8192, 512 * 2**20)}


class Peaks(NamedTuple):
    """What a device did: 10^12 operations a second in a matrix product, 10^9 bytes read plus written in a copy."""

    matmul_tflops: float
    copy_gbs: float


def measure_peaks(device: torch.device, precision: Precision, work: tuple[int, int] | None = None) -> Peaks:
    """Time a square matrix product and a copy on the device, medians of 10, with this process's threads.

    The precision's switches are set for the process, as `apply_precision` does. work: side of the matrices and bytes
    of the buffer; by default those for the kind of device.
    """
    apply_precision(precision)
    side, copied_bytes = work or WORK[device.type]
    matmul_s, copy_s = _matmul_s(device, precision, side), _copy_s(device, copied_bytes)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return Peaks(matmul_tflops=2 * side**3 / matmul_s / 1e12, copy_gbs=2 * copied_bytes / copy_s / 1e9)


def roofline(peaks: Peaks, *, flop: int, moved: int, time_ms: float) -> Roofline:
    """Where a pass of so many milliseconds stands below the device's peaks, which were timed in the same process.

    flop: its floating-point operations, 2 a multiply-accumulate. moved: bytes that its operators read and write.
    """
    achieved_tflops = flop / (time_ms / 1e3) / 1e12
    roof_ms = 1e3 * max(flop / (peaks.matmul_tflops * 1e12), moved / (peaks.copy_gbs * 1e9))
    return Roofline(
        matmul_tflops=peaks.matmul_tflops,
        copy_gbs=peaks.copy_gbs,
        pass_gflop=flop / 1e9,
        pass_gb=moved / 1e9,
        achieved_tflops=achieved_tflops,
        share_of_matmul=achieved_tflops / peaks.matmul_tflops,
        share_of_roof=roof_ms / time_ms,
    )


def _matmul_s(device: torch.device, precision: Precision, side: int) -> float:
    # noise, not zeros: a GPU draws less power for zeros, and clocks higher than it would for a network
    generator = torch.Generator().manual_seed(0)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    row = torch.randn(side, side, generator=generator)
    left, right = row.to(device, kind), row.flip(0).to(device, kind)
    product = torch.empty_like(left)
    with torch.inference_mode():
        return _median_s(device, lambda: torch.matmul(left, right, out=product))


def _copy_s(device: torch.device, copied_bytes: int) -> float:
    source = torch.ones(copied_bytes, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)  # written to, so that its pages are there
    return _median_s(device, lambda: target.copy_(source))


def _median_s(device: torch.device, run: Callable[[], object]) -> float:
    for _ in range(WARMUPS):
        run()
    # each is waited for before the next is begun
    clock: Clock = CudaClock(ahead=0) if device.type == "cuda" else WallClock()
    taken = clock.take(Pass(run=run), lambda count, seconds: count >= REPEATS)
    return statistics.median(taken.samples_ms) / 1e3


# -- work of a pass --------------------------------------------------------------------------------------------


def moved_bytes(
    build: Build,
    size: tuple[int, int],
    batch: int,
    training: bool,
    num_classes: int,
    precision: Precision,
    optimizer: Optimizer = "sgd",
) -> tuple[int, int]:
    """Floating-point operations (2 a multiply-accumulate) of a pass, and the bytes that its operators read and write.

    Operators are those of torch's CPU code path, carried out on shapes alone (FakeTensorMode). Each reads the
    distinct tensors that it is given and writes those that it gives or changes; views and what allocates
    move nothing. A pooling that keeps indices, and an unpooling, are an operator each, whose indices count
    as they are stored. Compiled networks move less, since operators are fused.

    training: a whole training step instead of a forward pass in evaluation mode. bf16 runs under autocast, in
    inference with weights converted before; fp32 and tf32 are alike.
    """
    with FakeTensorMode():
        model = built(build)
        images = noise_batch(batch, size)
        moved, flops = _Moved(), flop_counter()
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
        if not works(func):
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
