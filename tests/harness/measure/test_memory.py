from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.measure import memory
from harness.measure.memory import CudaMemory, ProcessMemory, is_out_of_memory, resident_bytes
from harness.measure.nvml import Baseline
from harness.measure.record import Memory, Quantity, blank_memory

MIB = 2**20


class Allocator:
    """A stand-in of torch's CUDA allocator that notes what is asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, retries: int = 0) -> None:
        self.calls: list[str] = []
        self.peak_bytes = 0
        for name in ("empty_cache", "synchronize"):
            monkeypatch.setattr(torch.cuda, name, self._noting(name))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self._reset)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: self.peak_bytes)
        monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: self.peak_bytes + 2 * MIB)
        monkeypatch.setattr(torch.cuda, "memory_stats", lambda: {"num_alloc_retries": retries})
        monkeypatch.setattr(torch, "zeros", lambda *shape, device: self.calls.append(f"zeros on {device}"))
        monkeypatch.setattr(memory, "used_minus_idle", self._used)

    def _noting(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)

    def _reset(self) -> None:
        self.calls.append("reset")
        self.peak_bytes = 0

    def _used(self, uuid: str, idle: Baseline) -> Quantity:
        self.calls.append("nvml")
        return Quantity(value=700 * MIB if "step" in self.calls else 400 * MIB)

    def step(self) -> None:
        """The first takes ten times what the later ones take, as cuDNN's first choices do."""
        self.peak_bytes = max(self.peak_bytes, MIB if "step" in self.calls else 10 * MIB)
        self.calls.append("step")


def test_a_gpus_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = Allocator(monkeypatch)
    figures, flags = CudaMemory("GPU-1", Baseline()).measure(allocator.step)
    values = {name: figure.value for name, figure in figures.items()}
    assert values["allocated_peak_bytes"] == MIB
    assert values["reserved_peak_bytes"] == 3 * MIB
    assert values["warmup_allocated_peak_bytes"] == 10 * MIB
    assert values["warmup_reserved_peak_bytes"] == 12 * MIB
    assert values["nvml_used_minus_idle_bytes"] == 700 * MIB
    assert values["context_bytes"] == 400 * MIB
    assert values["process_rss_peak_bytes"] is None
    assert flags == []
    assert allocator.calls[:4] == ["zeros on cuda", "synchronize", "empty_cache", "nvml"]
    halves = " ".join(allocator.calls[4:])
    assert halves == "empty_cache reset step step step synchronize " * 2 + "nvml"


def test_a_short_allocator_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = Allocator(monkeypatch, retries=2)
    _, flags = CudaMemory("GPU-1", Baseline()).measure(allocator.step)
    assert flags == ["the allocator had to free its cache 2 times: memory is short"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_cpus_peak_holds_what_the_step_took() -> None:
    probe = ProcessMemory()

    def step() -> None:
        torch.ones(64 * MIB, dtype=torch.uint8)

    figures, _ = probe.measure(step)
    peak, idle = figures["process_rss_peak_bytes"].value, figures["process_rss_idle_bytes"].value
    assert peak is not None and idle is not None
    assert peak - idle > 60 * MIB
    now = resident_bytes("VmRSS").value
    assert now is not None and now < peak


def test_either_probe_fills_all_that_the_tracker_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = set(Memory.model_fields) - {"batch", "live_peak_bytes", "live_split"}
    assert set(ProcessMemory().measure(lambda: None)[0]) == wanted
    allocator = Allocator(monkeypatch)
    assert set(CudaMemory("GPU-1", Baseline()).measure(allocator.step)[0]) == wanted
    assert set(dict(blank_memory(1, "x"))) == set(Memory.model_fields)


def test_an_unknown_field_of_proc_is_a_reason() -> None:
    assert resident_bytes("VmNothing").value is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB."), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: RuntimeError, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_torchs_own_refusal_on_a_cpu_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
