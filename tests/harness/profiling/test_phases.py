from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.profiling import phases
from harness.profiling.bench import Bench
from harness.profiling.flops import shapes
from harness.profiling.phases import Measuring
from harness.profiling.roofline import measure_peaks
from harness.profiling.work import Task, WorkerResult
from harness.profiling.workload import Build
from harness.records.measurement_values import Roofline
from harness.system.errors import UserError
from harness.system.quantities import NotMeasured, Quantity
from tests.harness.profiling.test_record import make_spec


def make_task(phase: str, batch: int = 1, **changes: Any) -> Task:
    values = {"architecture": "small", "num_classes": 4, "size": (36, 48), "preset": "quick", "threads": 1}
    spec = make_spec(**{**values, **changes})
    return Task.model_validate({"spec": spec, "key": {"phase": phase, "batch_size": batch}})


@pytest.fixture(autouse=True)
def settings_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back afterwards what a measurement sets for its whole process."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)


@pytest.fixture(autouse=True)
def small_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's peaks from products and copies that take no time."""
    monkeypatch.setattr(phases, "measure_peaks", partial(measure_peaks, work=(512, 2**20)))


def execute(task: Task, build: Build, on_phase: Callable[[str], None] = lambda phase: None) -> WorkerResult:
    """All steps of a task in this process."""
    measuring = Measuring(Bench(task, build), on_phase)
    measuring.prepare()
    for _ in range(3):
        measuring.round()
    measuring.finalize()
    return measuring.result()


def value(quantity: Quantity) -> float:
    assert quantity.value is not None, quantity.reason
    return quantity.value


def test_what_follows_from_shapes(small: Build) -> None:
    found = execute_without_rounds(make_task("shapes"), small)
    assert found.failure is None
    assert found.shapes == shapes(small, (36, 48), 4, "fp32")
    assert (found.shapes.inference_live.batch_size, found.shapes.training_live.batch_size) == (1, 4)


def execute_without_rounds(task: Task, build: Build) -> WorkerResult:
    measuring = Measuring(Bench(task, build))
    measuring.prepare()
    return measuring.result()


@pytest.mark.parametrize(("phase", "batch"), [("inference-memory", 1), ("training-memory", 4)])
def test_memory_of_a_process(small: Build, phase: str, batch: int) -> None:
    found = execute_without_rounds(make_task(phase, batch), small)
    assert found.memory is not None
    assert found.memory.allocated_peak_bytes.reason == "measured on a CPU"
    assert value(found.memory.process_rss_peak_bytes) >= value(found.memory.process_rss_idle_bytes) > 0
    assert found.environment["torch_threads"] == 1


@pytest.mark.parametrize(
    ("phase", "batch"), [("forward", 1), ("forward", 2), ("end-to-end", 1), ("backward", 1), ("training-step", 2)]
)
def test_a_timed_phase(small: Build, phase: str, batch: int) -> None:
    begun: list[str] = []
    found = execute(make_task(phase, batch), small, begun.append)
    assert found.failure is None
    assert [len(one.samples_ms) for one in found.rounds] == [3, 3, 3]
    assert all(sample > 0 for one in found.rounds for sample in one.samples_ms)
    assert begun[:4] == ["warming up", "round 1", "round 2", "round 3"]
    assert found.energy == NotMeasured(reason="measured on a CPU") or phase == "backward"
    if phase in ("forward", "training-step"):
        assert isinstance(found.roofline, Roofline)
        # beside other work the product that it is held against may be the slower one
        rates = found.roofline.achieved_tflops, found.roofline.matmul_tflops
        assert 0 < found.roofline.share_of_matmul == pytest.approx(rates[0] / rates[1])
        assert 0 <= value(found.outside_kernels) < 1
    else:
        assert found.roofline == NotMeasured(reason="taken in the phases forward and training-step")


def test_a_training_step_does_three_times_the_work_of_a_forward_pass(small: Build) -> None:
    forward = execute(make_task("forward", 2), small).roofline
    step = execute(make_task("training-step", 2), small).roofline
    assert isinstance(forward, Roofline) and isinstance(step, Roofline)
    # one of them alone may be held against a product that other work slowed down
    assert min(forward.share_of_matmul, step.share_of_matmul) < 1
    assert 2 * forward.pass_gflop < step.pass_gflop <= 3 * forward.pass_gflop
    assert step.pass_gb > 2 * forward.pass_gb


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


@pytest.mark.parametrize("phase", ["training-memory", "training-step", "forward"])
def test_out_of_memory_makes_a_failed_measurement(phase: str) -> None:
    refused = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
    found = execute(make_task(phase, 4), lambda: Greedy(refused))
    assert found.failure is not None
    assert (found.failure.kind, found.failure.message) == ("oom", "OOM at batch 4")
    assert (found.rounds, found.memory) == ((), None)


class PooledNorm(nn.Module):
    """Batch norm behind global pooling, as torchvision's DeepLabV3 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.conv(images)
        return logits + self.norm(logits.mean((2, 3), keepdim=True))


def test_a_network_that_cannot_train_on_one_image_is_no_failure_of_the_measurement() -> None:
    found = execute(make_task("backward", 1), PooledNorm)
    assert found.failure is not None and found.failure.kind == "impossible"
    assert found.failure.message.endswith("it can't be trained at batch 1")
    assert execute(make_task("backward", 2), PooledNorm).failure is None
    assert execute(make_task("forward", 1), PooledNorm).failure is None


def test_another_error_ends_the_measurement() -> None:
    with pytest.raises(RuntimeError, match="something else"):
        execute(make_task("forward", 4), lambda: Greedy(RuntimeError("something else")))


class Watching(nn.Module):
    """Notes in which mode it is called, and what type its logits have."""

    def __init__(self, seen: set[tuple[bool, bool, torch.dtype]]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.seen = seen

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.conv(images)
        self.seen.add((self.training, torch.is_inference_mode_enabled(), logits.dtype))
        return logits


@pytest.mark.parametrize(
    ("phase", "precision", "wanted"),
    [
        ("forward", "fp32", (False, True, torch.float32)),
        ("end-to-end", "fp32", (False, True, torch.float32)),
        ("backward", "fp32", (True, False, torch.float32)),
        ("training-step", "fp32", (True, False, torch.float32)),
        ("training-step", "bf16", (True, False, torch.bfloat16)),
    ],
)
def test_modes_of_the_phases(phase: str, precision: str, wanted: tuple[bool, bool, torch.dtype]) -> None:
    seen: set[tuple[bool, bool, torch.dtype]] = set()
    measuring = Measuring(Bench(make_task(phase, 2, precision=precision), lambda: Watching(seen)))
    measuring.prepare()
    seen.clear()  # preparing counts on shapes too
    measuring.round()
    assert seen == {wanted}


def test_options_change_how_the_network_is_called(small: Build) -> None:
    plain = Bench(make_task("forward", 2), small)
    last = Bench(make_task("forward", 2, options=("channels-last",)), small)
    for bench, layout in ((plain, torch.contiguous_format), (last, torch.channels_last)):
        assert bench.images(1)[0].is_contiguous(memory_format=layout)
        weight = next(one for one in bench.network().parameters() if one.dim() == 4 and one.shape[2] > 1)
        assert weight.is_contiguous(memory_format=layout)


def test_folding_leaves_no_batch_norm() -> None:
    changes: dict[str, Any] = {
        "architecture": "segnet-basic",
        "architecture_revision": 1,
        "num_classes": 11,
        "size": (32, 32),
        "options": ("folded",),
    }
    network = Bench(make_task("forward", **changes)).network()
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@pytest.mark.slow
def test_compiling_takes_time_that_is_told_apart(small: Build) -> None:
    found = execute(make_task("forward", options=("compiled",)), small)
    assert value(found.compile_s) > 10 * max(found.rounds[0].samples_ms) / 1e3


def test_the_network_must_be_of_the_revision_asked_for() -> None:
    with pytest.raises(UserError, match="revision 99 was asked for"):
        Bench(make_task("forward", architecture="segnet", architecture_revision=99))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said(small: Build) -> None:
    with pytest.raises(UserError, match="device cuda: torch finds no CUDA device"):
        Bench(make_task("forward", device="cuda", preset="lease"), small)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("phase", ["forward", "end-to-end", "backward", "training-step"])
def test_times_on_a_gpu(small: Build, phase: str) -> None:
    found = execute(make_task(phase, 1, device="cuda"), small)
    assert len(found.rounds) == 3
    assert phase not in ("forward", "training-step") or isinstance(found.roofline, Roofline)


@pytest.mark.parametrize(("phase", "doubted"), [("shapes", False), ("inference-memory", False), ("forward", True)])
def test_others_on_the_machine_leave_counts_and_peaks_as_they_are(
    phase: str, doubted: bool, small: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "load_average", lambda: Quantity(value=99.0))
    found = execute_without_rounds(make_task(phase), small)
    assert any("others used the machine" in flag for flag in found.flags) is doubted


def test_gpu_warnings(monkeypatch: pytest.MonkeyPatch, small: Callable[[], nn.Module]) -> None:
    task = make_task("forward").model_copy(update={"others": {"GPU-1": "1 other compute process on the GPU"}})
    bench = Bench(task, small)
    monkeypatch.setattr(phases, "is_wsl", lambda: False)
    assert phases._gpu_warnings(bench) == []
    bench.uuid = "GPU-1"
    assert phases._gpu_warnings(bench) == ["1 other compute process on the GPU"]
    bench.uuid = "GPU-2"
    assert phases._gpu_warnings(bench) == []
    monkeypatch.setattr(phases, "is_wsl", lambda: True)
    assert phases._gpu_warnings(bench)[0].startswith("WSL")
