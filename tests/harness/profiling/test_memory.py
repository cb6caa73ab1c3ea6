import mmap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from harness.profiling import memory
from harness.profiling.memory import CudaMemory, ProcessMemory
from harness.records.measurement_values import DeviceMemory, Live
from harness.system.corruption import is_out_of_memory
from harness.system.environment import resident_bytes
from harness.system.nvml import Baseline
from harness.system.quantities import Quantity

MIB = 2**20


def live(peak_bytes: int, state_bytes: int = 0) -> Live:
    return Live(
        batch_size=1,
        peak_bytes=peak_bytes,
        weights_bytes=0,
        gradients_bytes=0,
        optimizer_state_bytes=state_bytes,
        decoder_storage_bytes=0,
        kept_for_backward_bytes=0,
        input_bytes=0,
        rest_bytes=peak_bytes - state_bytes,
    )


class Allocator:
    """A stand-in of torch's CUDA allocator that notes what is asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, retries: int = 0, physical_bytes: int = 1000 * MIB) -> None:
        self.calls: list[str] = []
        self.peak_bytes = 0
        for name in ("empty_cache", "synchronize"):
            monkeypatch.setattr(torch.cuda, name, self._noting(name))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self._reset)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: self.peak_bytes)
        monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: self.peak_bytes + 2 * MIB)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, physical_bytes))
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
    figures, flags = CudaMemory("GPU-1", Baseline()).measure(allocator.step, lambda: live(MIB // 2))
    values = {name: figure.value for name, figure in figures}
    assert values["allocated_peak_bytes"] == MIB
    assert values["reserved_peak_bytes"] == 3 * MIB
    assert values["warmup_allocated_peak_bytes"] == 10 * MIB
    assert values["warmup_reserved_peak_bytes"] == 12 * MIB
    assert values["workspace_bytes"] == MIB // 2
    assert values["nvml_used_minus_idle_bytes"] == 700 * MIB
    assert values["context_bytes"] == 400 * MIB
    assert values["process_rss_peak_bytes"] is None
    assert flags == []
    assert allocator.calls[:4] == ["zeros on cuda", "synchronize", "empty_cache", "nvml"]
    halves = " ".join(allocator.calls[4:])
    assert halves == "empty_cache reset step step step synchronize " * 2 + "nvml"


@pytest.mark.parametrize(("percent", "doubtful"), [(94, True), (96, False), (100, False)])
def test_a_training_step_of_much_workspace_is_flagged(
    monkeypatch: pytest.MonkeyPatch, percent: int, doubtful: bool
) -> None:
    """1 MiB is allocated."""
    allocator = Allocator(monkeypatch)
    step = live(MIB * percent // 100, state_bytes=1)
    figures, flags = CudaMemory("GPU-1", Baseline()).measure(allocator.step, lambda: step)
    assert figures.workspace_bytes.value == MIB - step.peak_bytes
    assert ["% of the live memory (limit 5%)" in flag for flag in flags] == [True] * doubtful


def test_less_allocated_than_live_is_an_error_and_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = Allocator(monkeypatch)
    with pytest.raises(RuntimeError, match="1048576 bytes is below the 1048577 bytes of live tensors"):
        CudaMemory("GPU-1", Baseline()).measure(allocator.step, lambda: live(MIB + 1))
    none = dict.fromkeys(DeviceMemory.model_fields, Quantity(reason="none"))
    with pytest.raises(ValidationError, match="a workspace of -1 bytes"):
        DeviceMemory.model_validate({**none, "workspace_bytes": Quantity(value=-1)})


def test_a_compiled_network_s_workspace_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator = Allocator(monkeypatch)
    figures, flags = CudaMemory("GPU-1", Baseline()).measure(allocator.step, None)
    assert figures.allocated_peak_bytes.value == MIB and flags == []
    assert figures.workspace_bytes.reason == "compiled: its live memory is not known"


@pytest.mark.parametrize(
    ("allocator", "cudnn_benchmark", "flag"),
    [
        ({"retries": 2}, False, "the allocator had to free its cache 2 times: memory is short"),
        ({}, True, "cuDNN's benchmark mode was on: its search takes memory of its own"),
        ({"physical_bytes": 12 * MIB}, False, ""),  # as much as the warm-up reserved
        ({"physical_bytes": 12 * MIB - 1}, False, "some lie in the host's memory"),
    ],
)
def test_what_is_doubtful_is_flagged(
    monkeypatch: pytest.MonkeyPatch, allocator: dict[str, int], cudnn_benchmark: bool, flag: str
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", cudnn_benchmark)
    step = Allocator(monkeypatch, **allocator).step
    _, flags = CudaMemory("GPU-1", Baseline()).measure(step, lambda: live(MIB))
    assert len(flags) == bool(flag) and all(flag in one for one in flags)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_cpus_peak_holds_what_the_step_took_and_not_what_was_before() -> None:
    probe = ProcessMemory()

    def take(size: int) -> None:
        with mmap.mmap(-1, size) as fresh:  # of the allocator's, freed memory might be reused
            for page in range(0, size, mmap.PAGESIZE):
                fresh[page] = 1

    take(256 * MIB)  # as converting weights does
    figures, _ = probe.measure(lambda: take(64 * MIB), lambda: live(64 * MIB))
    peak, idle = figures.process_rss_peak_bytes.value, figures.process_rss_idle_bytes.value
    assert peak is not None and idle is not None
    assert 60 * MIB < peak - idle < 200 * MIB
    now = resident_bytes("VmRSS").value
    assert now is not None and now < peak


def test_what_the_device_does_not_have_has_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    of_process = {"process_rss_peak_bytes", "process_rss_idle_bytes"}
    on_cpu, _ = ProcessMemory().measure(lambda: None, lambda: live(1))
    assert {name for name, figure in on_cpu if figure.reason != "measured on a CPU"} == of_process
    allocator = Allocator(monkeypatch)
    on_gpu, _ = CudaMemory("GPU-1", Baseline()).measure(allocator.step, lambda: live(1))
    assert {name for name, figure in on_gpu if figure.value is None} == of_process
    assert isinstance(on_gpu, DeviceMemory) and isinstance(on_cpu, DeviceMemory)


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


def test_torchs_own_refusal_on_a_cpu_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
