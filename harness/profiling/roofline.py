"""How much of a device's measured peak a pass reaches: a matrix product and a copy are timed beside it."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.config.run_spec import Precision
from harness.profiling.timing import Clock, CudaClock, Pass, WallClock
from harness.records.measurement_values import Roofline
from harness.training.amp import apply_precision

WARMUPS, REPEATS = 3, 10


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """What the device did.

    matmul_tflops: 10^12 floating-point operations a second in a square matrix product.
    copy_gbs: 10^9 bytes a second, read plus written, in a copy.
    """

    matmul_tflops: float
    copy_gbs: float


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much the two are given to do: enough to keep all of the device busy, and well beyond its caches.

    side: of the matrices.
    copied_bytes: of the buffer.
    """

    side: int
    copied_bytes: int


CPU_WORK = Work(side=1024, copied_bytes=256 * 2**20)
CUDA_WORK = Work(side=8192, copied_bytes=512 * 2**20)


def measure_peaks(device: torch.device, precision: Precision, work: Work | None = None) -> Peaks:
    """Time a matrix product and a copy on the device, medians of 10, with this process's threads.

    Args:
        device: where.
        precision: of the product; its switches are set for the process, as `apply_precision` does.
        work: sizes; by default those for the kind of device.
    """
    apply_precision(precision)
    work = work or (CUDA_WORK if device.type == "cuda" else CPU_WORK)
    matmul_s = _matmul_s(device, precision, work.side)
    copy_s = _copy_s(device, work.copied_bytes)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return Peaks(
        matmul_tflops=2 * work.side**3 / matmul_s / 1e12,
        copy_gbs=2 * work.copied_bytes / copy_s / 1e9,
    )


def roofline(peaks: Peaks, *, flop: int, moved: int, time_ms: float) -> Roofline:
    """Where a pass stands below the device's peaks.

    Args:
        peaks: timed in the same process.
        flop: floating-point operations of the pass, 2 a multiply-accumulate.
        moved: bytes that its operators read and write.
        time_ms: its measured time.
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
