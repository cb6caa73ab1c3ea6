"""The device with the network on it, as a measurement wants them."""

from functools import cached_property
from itertools import cycle
from typing import cast

import torch
from torch import Tensor, nn

import architectures
from architectures.architecture_info import WHOLE
from harness.profiling.flops import logits_size
from harness.profiling.timing import Clock, CudaClock, Pass, WallClock
from harness.profiling.work import Task
from harness.profiling.workload import (
    Build,
    TrainingStep,
    backward_pass,
    built,
    end_to_end_pass,
    for_inference,
    host_images,
    image_batches,
    infer,
    label_batch,
)
from harness.records.measurement import IMAGES
from harness.system import nvml
from harness.system.environment import gpu_uuid
from harness.system.errors import UserError
from harness.training.amp import apply_precision


class Bench:
    """The device with the network on it, as a task wants them.

    Args:
        task: what to measure.
        build: makes the network; by default the registry's architecture of that name.

    Raises:
        UserError: the device is not there, or the code has another revision of the architecture.
        architectures.ArchitectureError: unknown name, or a size that it does not take.
    """

    def __init__(self, task: Task, build: Build | None = None) -> None:
        self.task, self.spec, self.key = task, task.spec, task.key
        self.idle = nvml.baseline() if self.spec.device == "cuda" else None  # before CUDA is touched
        torch.set_num_threads(self.spec.threads)
        apply_precision(self.spec.precision)
        self.build = build or _registered(task)
        self._info = None if build else architectures.info(self.spec.architecture)
        self.device = torch.device(self.spec.device)
        self.uuid = _existing_gpu() if self.spec.device == "cuda" else None
        channels_last = "channels-last" in self.spec.options
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    @cached_property
    def logits_size(self) -> tuple[int, int]:
        """Height and width of the logits, at which the loss is taken.

        Of a registered architecture by its stride: to count on shapes takes memory of the process.
        """
        if self._info is None:
            return logits_size(self.build, self.spec.size)
        return self._info.output_size(*self.spec.size)

    def network(self) -> nn.Module:
        """The network on the device, in the layout and folded or not as the spec's options say."""
        return self.arranged().to(self.device).to(memory_format=self.layout)

    def arranged(self) -> nn.Module:
        """The network with batch norm folded if the options say so."""
        network = built(self.build)
        if "folded" in self.spec.options:
            from architectures.folding import fold_batch_norm

            network = fold_batch_norm(network)
        return network

    def called(self, network: nn.Module) -> nn.Module:
        """The network as it is called: compiled if the options say so."""
        if "compiled" not in self.spec.options:
            return network
        # the time of compiling is a figure, which what an earlier process left compiled would spoil
        torch.compiler.config.force_disable_caches = True
        return cast(nn.Module, torch.compile(network))

    def images(self, count: int) -> list[Tensor]:
        """Different batches on the device, in the layout of the options."""
        batches = image_batches(self.key.batch_size, count, self.spec.size, self.device)
        return [batch.contiguous(memory_format=self.layout) for batch in batches]

    def labels(self) -> Tensor:
        """Labels of a batch, of the logits' size."""
        return label_batch(self.key.batch_size, self.logits_size, self.spec.num_classes, self.device)

    def timed(self, network: nn.Module, images: int = IMAGES) -> tuple[Pass, Clock]:
        """What the phase times, on so many different batches in turn, and by which clock."""
        precision, phase = self.spec.precision, self.key.phase
        inference = phase in ("forward", "end-to-end")
        called = self.called(for_inference(network, precision) if inference else network.train())
        if phase == "end-to-end":
            reach = self._info.reach(*self.spec.size) if self._info else WHOLE
            pictures = host_images(images, self.spec.size)
            return end_to_end_pass(called, pictures, self.device, precision, self.layout, reach), WallClock()
        clock: Clock = CudaClock() if self.device.type == "cuda" else WallClock()
        batches = cycle(self.images(images))
        if phase == "forward":
            return Pass(run=lambda: infer(called, next(batches), precision)), clock
        labels = self.labels()
        if phase == "backward":
            return backward_pass(called, batches, labels, precision), clock
        step = TrainingStep(called, precision, self.spec.optimizer)
        return Pass(run=lambda: step(next(batches), labels)), clock


def _registered(task: Task) -> Build:
    spec = task.spec
    info = architectures.info(spec.architecture)
    revision = info.revision
    if info.source != spec.architecture_source:
        raise UserError(f"{spec.architecture}: the plugin has changed since this was planned; start anew")
    if revision != spec.architecture_revision:
        raise UserError(
            f"{spec.architecture}: revision {spec.architecture_revision} was asked for, but the code has "
            f"revision {revision}; measure that one"
        )
    return lambda: architectures.build(spec.architecture, spec.num_classes, spec.size)


def _existing_gpu() -> str:
    if not torch.cuda.is_available():
        raise UserError("device cuda: torch finds no CUDA device here; choose the device cpu")
    return gpu_uuid()
