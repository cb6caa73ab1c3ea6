"""How pooling indices are stored: bytes, live memory and time of a whole network, storage beside storage.

Times are interleaved: in each round every storage has one, in rotated order, in this process and on the
same network. What drifts (heat, other work) so falls on all of them, and ratios are taken within a round.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import get_args

import torch
from torch import nn

import architectures
from architectures.pooling import STORAGES, Storage, set_storage
from harness.profiling.bench import Bench
from harness.profiling.flops import shapes
from harness.profiling.sampling import load_average, load_warnings
from harness.profiling.work import Task
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH, MeasurementKey, MeasureSpec
from harness.records.pooling_indices import IndexRecord, Layout, Phase, Samples, StorageBytes
from harness.system.environment import Device, device_name, device_slug, environment
from harness.system.errors import UserError

# How often each storage is run: to warm up, and to be timed.
ROUNDS: dict[tuple[Device, Phase], tuple[int, int]] = {
    ("cpu", "inference"): (2, 15),
    ("cpu", "training step"): (1, 3),
    ("cuda", "inference"): (20, 100),
    ("cuda", "training step"): (10, 50),
}
_KEYS: dict[Phase, MeasurementKey] = {
    "inference": MeasurementKey(phase="forward", batch_size=INFERENCE_BATCH),
    "training step": MeasurementKey(phase="training-step", batch_size=TRAINING_BATCH),
}
_BYTES: dict[Storage, str] = {"int64": "int64_bytes", "uint8": "uint8_bytes", "2bit": "two_bit_bytes"}


def compare(spec: MeasureSpec, on_phase: Callable[[str], None] = lambda phase: None) -> IndexRecord:
    """Compare all storages on one architecture; to be called once in a fresh process.

    The spec's options and its preset say nothing here; on_phase is called with the name of each phase as it begins.

    Raises:
        UserError: an architecture that keeps no pooling indices.
        architectures.ArchitectureError: unknown name, or a size that it does not take.
    """
    started, moment = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    torch.set_num_threads(spec.threads)
    on_phase("bytes")
    storages = tuple(_bytes(spec, storage) for storage in STORAGES)
    if len({one.index_bytes for one in storages}) == 1:
        raise UserError(f"{spec.architecture} keeps no pooling indices; choose segnet, segnet-basic or deconvnet")
    times: list[Samples] = []
    flags: list[str] = []
    for layout, phase in product(get_args(Layout), get_args(Phase)):
        on_phase(f"{phase}, {layout}")
        times += _times(spec, phase, layout)
        ours = spec.threads if spec.device == "cpu" else 1
        flags += [f"{phase}, {layout}: {flag}" for flag in load_warnings(load_average(), ours)]
    alike = ("architecture", "architecture_revision", "num_classes", "size", "precision", "device", "threads")
    return IndexRecord(
        **{name: getattr(spec, name) for name in alike},
        device_name=device_name(spec.device),
        device_slug=device_slug(spec.device),
        training_batch=TRAINING_BATCH,
        measured_at=moment,
        wall_s=round(time.perf_counter() - started, 1),
        storages=storages,
        times=tuple(times),
        flags=tuple(flags),
        environment=environment(),
    )


def _bytes(spec: MeasureSpec, storage: Storage) -> StorageBytes:
    def build() -> nn.Module:
        network = architectures.build(spec.architecture, spec.num_classes, spec.size)
        set_storage(network, storage)
        return network

    found = shapes(build, spec.size, spec.num_classes, spec.precision)
    return StorageBytes(
        storage=storage,
        index_bytes=sum(getattr(found.decoder_storage, _BYTES[storage])),
        inference_live_peak_bytes=found.inference_live.peak_bytes,
        training_live_peak_bytes=found.training_live.peak_bytes,
    )


def _times(spec: MeasureSpec, phase: Phase, layout: Layout) -> Iterator[Samples]:
    key, (warmup, rounds) = _KEYS[phase], ROUNDS[spec.device, phase]
    options = ("channels-last",) if layout == "channels-last" else ()
    bench = Bench(Task(spec=spec.model_copy(update={"options": options}), key=key))
    network = bench.network()
    timed, clock = bench.timed(network, images=1)
    taken: dict[Storage, list[float]] = {storage: [] for storage in STORAGES}
    for number in range(warmup + rounds):
        start = number % len(STORAGES)
        for storage in (*STORAGES[start:], *STORAGES[:start]):
            set_storage(network, storage)
            found = clock.take(timed, lambda count, seconds: True).samples_ms
            if number >= warmup:
                taken[storage] += [round(value, 3) for value in found]
    for storage, samples in taken.items():
        yield Samples(storage=storage, phase=phase, layout=layout, batch=key.batch_size, samples_ms=tuple(samples))
