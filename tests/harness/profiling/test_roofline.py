import pytest
import torch

from harness.config.run_spec import Precision
from harness.profiling.roofline import Peaks, measure_peaks, roofline

PEAKS = Peaks(matmul_tflops=50.0, copy_gbs=2000.0)


def test_a_pass_held_by_arithmetic() -> None:
    """100 GFLOP take 2 ms at the peak, 1 GB takes 0.5 ms; measured are 4 ms."""
    found = roofline(PEAKS, flop=100 * 10**9, moved=10**9, time_ms=4.0)
    assert (found.pass_gflop, found.pass_gb) == (100.0, 1.0)
    assert found.achieved_tflops == pytest.approx(25.0)
    assert found.share_of_matmul == pytest.approx(0.5)
    assert found.share_of_roof == pytest.approx(0.5)
    assert (found.matmul_tflops, found.copy_gbs) == (50.0, 2000.0)


def test_a_pass_held_by_memory() -> None:
    """10 GFLOP take 0.2 ms at the peak, 6 GB take 3 ms; measured are 4 ms."""
    found = roofline(PEAKS, flop=10 * 10**9, moved=6 * 10**9, time_ms=4.0)
    assert found.achieved_tflops == pytest.approx(2.5)
    assert found.share_of_matmul == pytest.approx(0.05)
    assert found.share_of_roof == pytest.approx(0.75)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_peaks_of_this_cpu_are_possible(precision: Precision) -> None:
    """Between what the slowest and the fastest CPU do; how fast this one is depends on its load."""
    peaks = measure_peaks(torch.device("cpu"), precision, (128, 2**20))
    assert 1e-5 < peaks.matmul_tflops < 1000
    assert 1e-3 < peaks.copy_gbs < 1e5


def test_peaks_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every repeat takes half a second by this clock: 2 * 64^3 operations, and 2 * 1000 bytes."""
    ticks = iter(range(10_000))
    monkeypatch.setattr("harness.profiling.timing.time.perf_counter", lambda: next(ticks) / 2)
    peaks = measure_peaks(torch.device("cpu"), "fp32", (64, 1000))
    assert peaks.matmul_tflops == pytest.approx(2 * 64**3 / 0.5 / 1e12)
    assert peaks.copy_gbs == pytest.approx(2 * 1000 / 0.5 / 1e9)


def test_the_product_is_of_the_cells_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    matmul = torch.matmul

    def noting(left: torch.Tensor, right: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        seen.append(left.dtype)
        return matmul(left, right, out=out)

    monkeypatch.setattr(torch, "matmul", noting)
    for precision in ("fp32", "bf16"):
        measure_peaks(torch.device("cpu"), precision, (8, 8))
    assert seen == [torch.float32] * 13 + [torch.bfloat16] * 13


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_peaks_of_a_gpu_are_above_a_cpus_and_leave_nothing() -> None:
    held = torch.cuda.memory_allocated()
    fp32 = measure_peaks(torch.device("cuda"), "fp32")
    assert fp32.matmul_tflops > 1 and fp32.copy_gbs > 50
    assert measure_peaks(torch.device("cuda"), "bf16").matmul_tflops > fp32.matmul_tflops
    assert torch.cuda.memory_allocated() == held
