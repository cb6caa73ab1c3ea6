"""One measurement, phase by phase, in this process: the body of the worker."""

from collections.abc import Callable

import torch
from torch import nn

import architectures
from harness.errors import UserError
from harness.machine import gpu_uuid, is_wsl
from harness.measure import nvml
from harness.measure.counts import count, decoder_storage
from harness.measure.draft import Draft, load_average
from harness.measure.memory import CudaMemory, MemoryProbe, ProcessMemory, is_out_of_memory
from harness.measure.record import (
    INFERENCE_BATCH,
    TIME_BATCH,
    TRAINING_BATCH,
    DeviceState,
    Failure,
    MeasurementRecord,
    MeasureSpec,
    Missing,
    Quantity,
    blank_state,
)
from harness.measure.timing import PLANS, Clock, CudaClock, Pass, WallClock, time_pass
from harness.measure.tracker import live_inference, live_training
from harness.measure.workload import (
    IMAGES,
    Build,
    TrainingStep,
    backward_pass,
    built,
    forward_pass,
    image_batches,
    infer,
    label_batch,
)
from harness.precision import apply_precision

FOREIGN_LOAD = 0.5  # runnable threads beside ours from which times are doubtful


def measure(
    spec: MeasureSpec,
    *,
    build: Build | None = None,
    on_phase: Callable[[str], None] = lambda phase: None,
    on_record: Callable[[MeasurementRecord], None] = lambda record: None,
) -> MeasurementRecord:
    """Measure one architecture, whole; to be called once in a fresh process.

    A phase that runs out of memory makes the record a failed one; the reason stands where its figures would,
    and the other phases go on. No batch is ever made smaller.

    Args:
        spec: what to measure.
        build: makes the network; by default the registry's architecture of that name.
        on_phase: called with the name of each phase as it begins.
        on_record: called before each phase with the record as it would stand if the process ended in it.

    Raises:
        UserError: the device is not there, or the code has another revision of the architecture.
        architectures.ArchitectureError: unknown name, or a size that it does not take.
    """
    idle = nvml.baseline() if spec.device == "cuda" else None  # before anything touches CUDA
    torch.set_num_threads(spec.threads)
    apply_precision(spec.precision)
    cell = _Cell(spec, build or _registered(spec), idle)
    cell.carry_out(on_phase, on_record)
    return cell.draft.record(finished=True)


def _registered(spec: MeasureSpec) -> Build:
    revision = architectures.info(spec.architecture).revision
    if revision != spec.architecture_revision:
        raise UserError(
            f"{spec.architecture}: revision {spec.architecture_revision} was asked for, but the code has "
            f"revision {revision}; measure that one"
        )
    return lambda: architectures.build(spec.architecture, spec.num_classes, spec.size)


class _Cell:
    """The phases of a measurement and what they share."""

    def __init__(self, spec: MeasureSpec, build: Build, idle: nvml.Baseline | None) -> None:
        self._spec = spec
        self._build = build
        self._device = torch.device(spec.device)
        self._uuid = _existing_gpu() if idle is not None else None
        self._idle = idle
        self.draft = Draft(spec, self._look())
        if idle is not None and self._uuid is not None:
            self.draft.flags += _gpu_flags(self._uuid, idle)
        self._logits_size = spec.size

    def carry_out(
        self, on_phase: Callable[[str], None], on_record: Callable[[MeasurementRecord], None]
    ) -> None:
        """All phases; inference memory before training memory, for a process's resident peak never falls."""

        def enter(phase: str, batch: int) -> None:
            self.draft.phase = f"{phase} at batch {batch}"
            on_phase(self.draft.phase)
            on_record(self.draft.record())

        def run(phase: str, batch: int, field: str, work: Callable[[], None]) -> None:
            enter(phase, batch)
            self._guarded(batch, field, work)

        enter("counts", 1)
        self._count()
        enter("live tensors of inference", INFERENCE_BATCH)
        self._live_inference()
        enter("live tensors of training", TRAINING_BATCH)
        self._live_training()
        probe = self._probe()
        model = built(self._build).to(self._device)
        torch.backends.cudnn.benchmark = False  # its search would take memory of its own
        inference, training = "inference_memory", "training_memory"
        run("inference memory", INFERENCE_BATCH, inference, lambda: self._inference_memory(probe, model))
        run("training memory", TRAINING_BATCH, training, lambda: self._training_memory(probe, model))
        torch.backends.cudnn.benchmark = True
        run("forward time", TIME_BATCH, "forward", lambda: self._forward_time(model))
        run("backward time", TIME_BATCH, "backward", lambda: self._backward_time(model))
        self._conclude()

    def _probe(self) -> MemoryProbe:
        if self._idle is None or self._uuid is None:
            return ProcessMemory()
        return CudaMemory(self._uuid, self._idle)

    def _guarded(self, batch: int, field: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            failure = Failure(kind="oom", message=f"OOM at batch {batch}", phase=self.draft.phase)
            self.draft.fail(field, failure)
        if self._device.type == "cuda":  # after the handler: the error's traceback held the phase's tensors
            torch.cuda.empty_cache()

    def _count(self) -> None:
        counts = count(self._build, self._spec.size)
        self._logits_size = counts.logits_size
        self.draft.set_counts(counts)
        self.draft.set_decoder_storage(decoder_storage(self._build, self._spec.size))

    def _live_inference(self) -> None:
        spec = self._spec
        live = live_inference(self._build, batch=INFERENCE_BATCH, size=spec.size, precision=spec.precision)
        self.draft.set_live("inference_memory", live)

    def _live_training(self) -> None:
        live = live_training(
            self._build,
            batch=TRAINING_BATCH,
            size=self._spec.size,
            label_size=self._logits_size,
            num_classes=self._spec.num_classes,
            precision=self._spec.precision,
        )
        self.draft.set_live("training_memory", live)

    def _inference_memory(self, probe: MemoryProbe, model: nn.Module) -> None:
        model.eval()
        [images] = image_batches(INFERENCE_BATCH, 1, self._spec.size, self._device)
        self._measure_memory(probe, "inference_memory", lambda: infer(model, images, self._spec.precision))

    def _training_memory(self, probe: MemoryProbe, model: nn.Module) -> None:
        model.train()
        [images] = image_batches(TRAINING_BATCH, 1, self._spec.size, self._device)
        labels = label_batch(TRAINING_BATCH, self._logits_size, self._spec.num_classes, self._device)
        step = TrainingStep(model, self._spec.precision)
        try:
            self._measure_memory(probe, "training_memory", lambda: step(images, labels))
        finally:
            model.zero_grad(set_to_none=True)

    def _measure_memory(self, probe: MemoryProbe, field: str, step: Callable[[], None]) -> None:
        figures, flags = probe.measure(step)
        self.draft.set_memory(field, figures)
        self.draft.flags += [f"{field.replace('_', ' ')}: {flag}" for flag in flags]

    def _forward_time(self, model: nn.Module) -> None:
        batches = image_batches(TIME_BATCH, IMAGES, self._spec.size, self._device)
        self._time("forward", forward_pass(model, batches, self._spec.precision))

    def _backward_time(self, model: nn.Module) -> None:
        batches = image_batches(TIME_BATCH, IMAGES, self._spec.size, self._device)
        labels = label_batch(TIME_BATCH, self._logits_size, self._spec.num_classes, self._device)
        self._time("backward", backward_pass(model, batches, labels, self._spec.precision))

    def _time(self, field: str, timed: Pass) -> None:
        clock: Clock = CudaClock() if self._device.type == "cuda" else WallClock()
        summary, flags = time_pass(timed, clock, PLANS[self._spec.effort], TIME_BATCH)
        self.draft.set_time(field, summary)
        self.draft.flags += [f"{field}: {flag}" for flag in flags]

    def _conclude(self) -> None:
        state, load = self._look(), load_average()
        self.draft.set_after(state, load)
        self.draft.flags += slowdown_flags(state)
        self.draft.flags += load_flags(load, self._spec.threads if self._device.type == "cpu" else 1)

    def _look(self) -> DeviceState:
        return blank_state("measured on a CPU") if self._uuid is None else nvml.device_state(self._uuid)


def load_flags(load: Quantity, ours: int) -> list[str]:
    """A doubt where others ran beside us.

    The rule: the load average over the measurement's last minute, minus the threads that we can at most keep
    busy, exceeds 0.5. It misses others as long as we leave cores idle, and needs a minute to rise.

    Args:
        load: load average after the measurement.
        ours: threads that this process computes on: torch's on a CPU, 1 that feeds a GPU.
    """
    if load.value is None or load.value - ours <= FOREIGN_LOAD:
        return []
    return [f"others used the machine: load average {load.value:.1f}, of which at most {ours} ours"]


def slowdown_flags(state: DeviceState) -> list[str]:
    """A doubt where the GPU's clocks were held back by heat or power supply."""
    if isinstance(state.throttle_reasons, Missing):
        return []
    held = [reason for reason in state.throttle_reasons if reason in nvml.SLOWDOWNS]
    return [f"the GPU's clocks were held back: {', '.join(held)}"] if held else []


def _existing_gpu() -> str:
    if not torch.cuda.is_available():
        raise UserError("device cuda: torch finds no CUDA device here; choose the device cpu")
    return gpu_uuid()


def _gpu_flags(uuid: str, idle: nvml.Baseline) -> list[str]:
    flags = [idle.others[uuid]] if uuid in idle.others else []
    if is_wsl():
        flags.append("WSL: GPU memory may have spilled into the host's; neither memory nor times compare")
    return flags
