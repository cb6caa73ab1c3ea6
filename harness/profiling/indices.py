"""How pooling indices are stored: bytes, live memory and time of a whole network, storage beside storage.

Times are interleaved: in each round every storage has one, in rotated order, in this process and on the
same network. What drifts (heat, other work) so falls on all of them, and ratios are taken within a round.
"""

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import get_args

import torch
from torch import Tensor

import architectures
from architectures.base import Architecture
from architectures.pooling import STORAGES, Storage, set_storage
from harness.config.run_spec import Precision
from harness.profiling.flops import decoder_storage
from harness.profiling.live_memory import live_inference, live_training
from harness.profiling.sampling import load_average, load_warnings
from harness.profiling.timing import Pass, clock_of
from harness.profiling.workload import TrainingStep, for_inference, image_batches, infer, label_batch
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH
from harness.records.pooling_indices import IndexRecord, Layout, Phase, Samples, StorageBytes
from harness.system.environment import Device, device_name, device_slug, environment
from harness.system.errors import UserError
from harness.training.amp import apply_precision

_LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often each storage is run: to warm up, and to be timed."""

    warmup: int
    timed: int


ROUNDS: dict[tuple[Device, Phase], Rounds] = {
    ("cpu", "inference"): Rounds(warmup=2, timed=15),
    ("cpu", "training step"): Rounds(warmup=1, timed=3),
    ("cuda", "inference"): Rounds(warmup=20, timed=100),
    ("cuda", "training step"): Rounds(warmup=10, timed=50),
}


@dataclass(frozen=True, kw_only=True)
class IndexSpec:
    """What to compare the storages on."""

    architecture: str
    num_classes: int
    size: tuple[int, int]
    precision: Precision
    device: Device
    threads: int


def compare(spec: IndexSpec, on_phase: Callable[[str], None] = lambda phase: None) -> IndexRecord:
    """Compare all storages on one architecture; to be called once in a fresh process.

    Args:
        spec: what to compare them on.
        on_phase: called with the name of each phase as it begins.

    Raises:
        UserError: an architecture that keeps no pooling indices.
        architectures.ArchitectureError: unknown name, or a size that it does not take.
    """
    started, moment = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    torch.set_num_threads(spec.threads)
    apply_precision(spec.precision)
    torch.manual_seed(0)
    model = architectures.build(spec.architecture, spec.num_classes, spec.size)
    on_phase("bytes")
    kept = decoder_storage(lambda: architectures.build(spec.architecture, spec.num_classes, spec.size), spec.size)
    storages = tuple(_bytes(spec, storage, sum(kept[storage])) for storage in STORAGES)
    if len({one.index_bytes for one in storages}) == 1:
        raise UserError(f"{spec.architecture} keeps no pooling indices; choose segnet, segnet-basic or deconvnet")
    model.to(spec.device)
    times: list[Samples] = []
    flags: list[str] = []
    for layout in get_args(Layout):
        model.to(memory_format=_LAYOUTS[layout])
        for phase in get_args(Phase):
            on_phase(f"{phase}, {layout}")
            times += _times(spec, model, phase, layout)
            ours = spec.threads if spec.device == "cpu" else 1
            flags += [f"{phase}, {layout}: {flag}" for flag in load_warnings(load_average(), ours)]
    return IndexRecord(
        architecture=spec.architecture,
        architecture_revision=architectures.info(spec.architecture).revision,
        num_classes=spec.num_classes,
        size=spec.size,
        precision=spec.precision,
        device=spec.device,
        device_name=device_name(spec.device),
        device_slug=device_slug(spec.device),
        threads=spec.threads,
        training_batch=TRAINING_BATCH,
        measured_at=moment,
        wall_s=round(time.perf_counter() - started, 1),
        storages=storages,
        times=tuple(times),
        flags=tuple(flags),
        environment=environment(),
    )


def _bytes(spec: IndexSpec, storage: Storage, index_bytes: int) -> StorageBytes:
    def build() -> Architecture:
        network = architectures.build(spec.architecture, spec.num_classes, spec.size)
        set_storage(network, storage)
        return network

    inference = live_inference(build, batch=INFERENCE_BATCH, size=spec.size, precision=spec.precision)
    training = live_training(
        build,
        batch=TRAINING_BATCH,
        size=spec.size,
        label_size=build().output_size(*spec.size),
        num_classes=spec.num_classes,
        precision=spec.precision,
    )
    return StorageBytes(
        storage=storage,
        index_bytes=index_bytes,
        inference_live_peak_bytes=inference.peak_bytes,
        training_live_peak_bytes=training.peak_bytes,
    )


def _times(spec: IndexSpec, model: Architecture, phase: Phase, layout: Layout) -> Iterator[Samples]:
    device, rounds = torch.device(spec.device), ROUNDS[spec.device, phase]
    batch = INFERENCE_BATCH if phase == "inference" else TRAINING_BATCH
    [images] = image_batches(batch, 1, spec.size, device)
    images = images.contiguous(memory_format=_LAYOUTS[layout])
    model = copy.deepcopy(model)  # its weights may be converted
    timed = _work(spec, model, phase, images)
    clock = clock_of(device)
    taken: dict[Storage, list[float]] = {storage: [] for storage in STORAGES}
    for number in range(rounds.warmup + rounds.timed):
        for storage in _rotated(STORAGES, number):
            set_storage(model, storage)
            found = clock.take(timed, lambda count, seconds: True).samples_ms
            if number >= rounds.warmup:
                taken[storage] += [round(value, 3) for value in found]
    for storage, samples in taken.items():
        yield Samples(storage=storage, phase=phase, layout=layout, batch=batch, samples_ms=tuple(samples))


def _work(spec: IndexSpec, model: Architecture, phase: Phase, images: Tensor) -> Pass:
    if phase == "inference":
        for_inference(model, spec.precision)
        return Pass(prepare=lambda: None, run=lambda: infer(model, images, spec.precision))
    model.train()
    height, width = model.output_size(*spec.size)
    labels = label_batch(len(images), (height, width), spec.num_classes, images.device)
    step = TrainingStep(model, spec.precision)
    return Pass(prepare=lambda: None, run=lambda: step(images, labels))


def _rotated(storages: Sequence[Storage], by: int) -> list[Storage]:
    start = by % len(storages)
    return [*storages[start:], *storages[:start]]
