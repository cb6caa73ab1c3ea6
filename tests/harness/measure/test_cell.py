from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.measure import cell
from harness.measure.cell import load_flags, measure, slowdown_flags
from harness.measure.nvml import Baseline
from harness.measure.record import (
    MeasurementRecord,
    MeasureSpec,
    Missing,
    Quantity,
    blank_state,
)
from harness.measure.tracker import live_training

PHASES = [
    "counts at batch 1",
    "live tensors of inference at batch 1",
    "live tensors of training at batch 4",
    "inference memory at batch 1",
    "training memory at batch 4",
    "forward time at batch 1",
    "backward time at batch 1",
]


def make_spec(**changes: Any) -> MeasureSpec:
    values = {
        "architecture": "small",
        "architecture_revision": 1,
        "num_classes": 4,
        "size": (36, 48),
        "device": "cpu",
        "effort": "cpu",
        "threads": 1,
    }
    return MeasureSpec.model_validate({**values, **changes})


def value(quantity: Quantity) -> float:
    assert quantity.value is not None, quantity.reason
    return quantity.value


def test_all_columns_on_a_cpu(small: Callable[[], nn.Module]) -> None:
    phases: list[str] = []
    record = measure(make_spec(), build=small, on_phase=phases.append)
    assert phases == PHASES
    assert (record.status, record.failure, record.reduced) == ("finished", None, True)
    parameters = sum(parameter.numel() for parameter in small().parameters())
    assert value(record.parameters) == parameters
    assert value(record.model_size_mb) == 4 * parameters / 1e6
    assert value(record.trainable_parameters) < parameters
    assert value(record.gmacs) > 0
    assert record.forward is not None and record.backward is not None
    assert (record.forward.n, record.backward.n) == (30, 30)
    live = live_training(small, batch=4, size=(36, 48), label_size=(36, 48), num_classes=4, precision="fp32")
    memory = record.training_memory
    assert value(memory.live_peak_bytes) == live.peak_bytes
    assert sum(value(part) for _, part in memory.live_split) == live.peak_bytes
    assert memory.batch == 4
    assert memory.allocated_peak_bytes.reason == "measured on a CPU"
    assert value(memory.process_rss_peak_bytes) >= value(record.inference_memory.process_rss_peak_bytes)
    assert record.environment["torch_threads"] == 1
    assert record.settings["cudnn_benchmark"] == {"memory": False, "time": True}


def test_bf16_runs_under_autocast(small: Callable[[], nn.Module]) -> None:
    record = measure(make_spec(precision="bf16"), build=small)
    plain = measure(make_spec(), build=small)
    assert record.settings["autocast"] == "bfloat16"
    assert value(record.training_memory.live_peak_bytes) < value(plain.training_memory.live_peak_bytes)


class Greedy(nn.Module):
    """Asks for more memory than there is once it is given four real images."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self._error = error

    def forward(self, images: Tensor) -> Tensor:
        if len(images) == 4 and type(images) is Tensor:
            raise self._error
        logits: Tensor = self.conv(images)
        return logits


def test_out_of_memory_fails_its_phase_alone() -> None:
    refused = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
    record = measure(make_spec(), build=lambda: Greedy(refused))
    assert record.status == "failed"
    assert record.failure is not None
    assert (record.failure.kind, record.failure.message) == ("oom", "OOM at batch 4")
    assert record.failure.phase == "training memory at batch 4"
    assert record.training_memory.process_rss_peak_bytes.reason == "OOM at batch 4"
    assert value(record.training_memory.live_peak_bytes) > 0  # the tracker needs no memory
    assert value(record.inference_memory.process_rss_peak_bytes) > 0
    assert record.forward is not None and record.backward is not None


def test_another_error_ends_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        measure(make_spec(), build=lambda: Greedy(RuntimeError("something else")))


def test_what_was_measured_until_then_outlives_the_process() -> None:
    left: list[MeasurementRecord] = []
    with pytest.raises(RuntimeError, match="something else"):
        measure(make_spec(), build=lambda: Greedy(RuntimeError("something else")), on_record=left.append)
    last = left[-1]
    assert last.status == "failed"
    assert last.failure is not None and last.failure.phase == "training memory at batch 4"
    assert value(last.inference_memory.process_rss_peak_bytes) > 0
    assert (last.forward, last.forward_reason) == (None, "the measurement ended before")


def test_two_runs_out_of_memory_name_the_first() -> None:
    class Insatiable(Greedy):
        def forward(self, images: Tensor) -> Tensor:
            if type(images) is Tensor:
                raise self._error
            return super().forward(images)

    record = measure(make_spec(), build=lambda: Insatiable(RuntimeError("can't allocate memory")))
    assert record.failure is not None and record.failure.message == "OOM at batch 1"
    assert record.training_memory.process_rss_peak_bytes.reason == "OOM at batch 4"
    assert (record.forward, record.forward_reason) == (None, "OOM at batch 1")


def test_backward_is_timed_in_training_mode_and_forward_in_evaluation_mode() -> None:
    seen: set[tuple[bool, bool]] = set()

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, images: Tensor) -> Tensor:
            seen.add((self.training, torch.is_inference_mode_enabled()))
            logits: Tensor = self.conv(images)
            return logits

    measure(make_spec(), build=Watching)
    # evaluation without inference_mode is the counting on shapes
    assert seen == {(False, True), (True, False), (False, False)}


def test_the_network_must_be_of_the_revision_asked_for() -> None:
    with pytest.raises(UserError, match="revision 99 was asked for"):
        measure(make_spec(architecture="segnet", architecture_revision=99))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said(small: Callable[[], nn.Module]) -> None:
    with pytest.raises(UserError, match="device cuda: torch finds no CUDA device"):
        measure(make_spec(device="cuda", effort="lease"), build=small)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_all_columns_on_a_gpu(small: Callable[[], nn.Module]) -> None:
    record = measure(make_spec(device="cuda", effort="cpu"), build=small)
    assert record.status == "finished"
    for memory in (record.inference_memory, record.training_memory):
        allocated, reserved = value(memory.allocated_peak_bytes), value(memory.reserved_peak_bytes)
        assert 0 < allocated <= reserved
        assert value(memory.live_peak_bytes) > 0
        used = memory.nvml_used_minus_idle_bytes
        assert used.reason or value(used) >= value(memory.context_bytes) > 0
    assert record.forward is not None and record.backward is not None
    assert record.device_slug.startswith("cuda-")


@pytest.mark.parametrize(
    ("load", "ours", "flagged"), [(2.4, 2, False), (2.6, 2, True), (0.0, 2, False), (1.6, 1, True)]
)
def test_load_of_others(load: float, ours: int, flagged: bool) -> None:
    assert bool(load_flags(Quantity(value=load), ours)) is flagged


def test_an_unknown_load_is_no_doubt() -> None:
    assert load_flags(Quantity(reason="this system gives no load average"), 1) == []


def test_slowdowns_are_flagged_and_a_power_cap_is_not() -> None:
    def state(reasons: tuple[str, ...] | Missing) -> Any:
        return blank_state("x").model_copy(update={"throttle_reasons": reasons})

    assert slowdown_flags(state(("power cap", "idle"))) == []
    assert slowdown_flags(state(Missing(reason="NVML: Not Supported"))) == []
    assert slowdown_flags(state(("power cap", "thermal slowdown by hardware"))) == [
        "the GPU's clocks were held back: thermal slowdown by hardware"
    ]


def test_gpu_doubts(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Baseline(others={"GPU-1": "1 other compute process on the GPU"})
    monkeypatch.setattr(cell, "is_wsl", lambda: False)
    assert cell._gpu_flags("GPU-1", idle) == ["1 other compute process on the GPU"]
    assert cell._gpu_flags("GPU-2", idle) == []
    monkeypatch.setattr(cell, "is_wsl", lambda: True)
    assert cell._gpu_flags("GPU-2", idle)[0].startswith("WSL")
