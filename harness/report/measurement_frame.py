"""The tidy frame of measurements: a row for each quantity of a network on a device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.metrics.significance import Sample
from harness.records.measurement import (
    INFERENCE_BATCH,
    TIME_BATCH,
    TIMED,
    TRAINING_BATCH,
    Measurement,
    MeasurementRecord,
    Phase,
)
from harness.records.measurement_values import Live, Shapes, Timing
from harness.report.grouping import outdated_architecture
from harness.report.store import Store, distinct_titles, read_measurements
from harness.system.quantities import NotMeasured, Quantity

MIB = 2**20
COLUMNS = (
    *("measurement_id", "architecture", "title", "device", "device_name", "device_kind", "height", "width"),
    *("classes", "precision", "preset", "threads", "variant", "outdated", "torch", "driver"),
    *("phase", "batch", "quantity", "statistic", "value", "low", "high", "reason"),
)
# Quantity -> field of `DeviceMemory`.
MEMORY = {
    "peak_allocated_mib": "allocated_peak_bytes",
    "warmup_peak_allocated_mib": "warmup_allocated_peak_bytes",
    "peak_reserved_mib": "reserved_peak_bytes",
    "warmup_peak_reserved_mib": "warmup_reserved_peak_bytes",
    "workspace_mib": "workspace_bytes",
    "nvml_mib": "nvml_used_minus_idle_bytes",
    "context_mib": "context_bytes",
    "rss_peak_mib": "process_rss_peak_bytes",
    "rss_idle_mib": "process_rss_idle_bytes",
}
# The parts of the live tensors, as `Live` names them.
LIVE_PARTS = tuple(
    name.removesuffix("_bytes") for name in Live.model_fields if name.endswith("_bytes") and name != "peak_bytes"
)
# What memory is measured of, with the phase that holds the device's and its batch.
Use = Literal["inference", "training"]
MEMORY_CELLS: dict[Use, tuple[Phase, int]] = {
    "inference": ("inference-memory", INFERENCE_BATCH),
    "training": ("training-memory", TRAINING_BATCH),
}
RANGES = ("sm_clock_mhz", "memory_clock_mhz", "temperature_c", "power_w")
# What a failed cell has no figure of, by its kind.
_HEADLINES = {"shapes": ("parameters", "gmacs"), "memory": tuple(MEMORY), "timing": ("latency_ms",)}

_Fact = dict[str, Any]


def load_measurements(results: Path | str | Store = "results") -> pd.DataFrame:
    """A row for each measured quantity; where there is no value, the reason why.

    Columns: measurement_id (path in `measurements/`, without ending), architecture, title, device (folder's
    name), device_name, device_kind (cuda, cpu), height, width, classes, precision (fp32 is without TF32),
    preset, threads, variant (options such as `channels-last`, by space; empty: plain), outdated (why it may
    not stand beside current ones, or empty), torch, driver, phase, batch, quantity, statistic, value, low,
    high, reason.

    Quantities, with their unit at the end (MiB are 2^20 bytes, MB 10^6):
        shapes: parameters, trainable_parameters, model_size_mb, gmacs, training_gmacs (multiply-accumulates,
            10^9, batch 1), decoder_storage_int64_mib, _uint8_mib, _two_bit_mib (kept for the decoder).
        inference-memory, training-memory: live_peak_mib and its parts (live_weights_mib ...: counted from
            shapes, the same on every machine); `MEMORY`, as the device had it.
        forward, end-to-end, backward, training-step: latency_ms (statistics median, whose low and high are
            an interval over at least 3 processes; p90, p95, p99, iqr, spread_percent, n, rounds, processes),
            throughput_images_s, energy_j_per_image (above_idle, raw, integrated; above_context_idle: less idle
            power with a context), energy_window_s, idle_power_w, context_idle_power_w, busy_samples, `RANGES`
            (median, low, high of the samples), roofline's figures, outside_kernels_percent, compile_s.
    """
    records, unreadable = results.measured if isinstance(results, Store) else read_measurements(Path(results))
    titles = distinct_titles(record.spec.architecture for record in records)
    rows = [_origin(record, cell, titles) | fact for record in records for cell in record.cells for fact in facts(cell)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float, "low": float, "high": float})
    frame.attrs["unreadable"] = unreadable
    return frame


def fact(record: MeasurementRecord, phase: Phase, batch: int, quantity: str, statistic: str = "value") -> Quantity:
    """One value of a record as the frame has it, or why there is none."""
    counted = quantity.startswith("live_")  # these follow from shapes
    wanted = {"phase": phase, "batch": batch, "quantity": quantity, "statistic": statistic}
    for cell in record.cells:
        if cell.key.phase == ("shapes" if counted else phase):
            here = {"phase": cell.key.phase, "batch": cell.key.batch_size}
            for row in (here | one for one in facts(cell)):
                if wanted.items() <= row.items():
                    return Quantity(reason=row["reason"]) if row["reason"] else Quantity(value=row["value"])
    return Quantity(reason=record.reason("shapes", INFERENCE_BATCH) if counted else record.reason(phase, batch))


def storage_bytes(record: MeasurementRecord) -> Quantity:
    """Bytes kept for the decoder of one image at the first pooled resolution, indices as 2-bit codes."""
    if record.shapes is None:
        return Quantity(reason=record.reason("shapes", INFERENCE_BATCH))
    found = record.shapes.decoder_storage.two_bit_bytes
    return Quantity(value=found[0]) if found else Quantity(reason="no network whose decoder the measurement knows")


def time_sample(record: MeasurementRecord, phase: Phase) -> Sample | NotMeasured:
    """The headline time of a pass, ms, with the noise that a comparison of it must exceed."""
    cell = record.cell(phase, TIME_BATCH)
    if cell is None or cell.timing is None:
        return NotMeasured(reason=record.reason(phase, TIME_BATCH))
    time = cell.timing.time
    spread = time.spread_percent / 100 * time.median_ms
    return Sample(values=(time.median_ms,), noise="rounds", spread=spread, processes=cell.timing.processes)


def _origin(record: MeasurementRecord, cell: Measurement, titles: dict[str, str]) -> _Fact:
    spec, machine = record.spec, record.environments[cell.environment]
    return {
        "measurement_id": f"{record.device_slug}/{spec.file_name.removesuffix('.json')}",
        "architecture": spec.architecture,
        "title": titles[spec.architecture],
        "device": record.device_slug,
        "device_name": record.device_name,
        "device_kind": spec.device,
        "height": spec.size[0],
        "width": spec.size[1],
        "classes": spec.num_classes,
        "precision": spec.precision,
        "preset": spec.preset,
        "threads": spec.threads,
        "variant": " ".join(spec.options),
        "outdated": outdated_architecture(spec),
        "torch": machine.get("torch") or "",
        "driver": machine.get("driver") or "",
        "phase": cell.key.phase,
        "batch": cell.key.batch_size,
    }


def facts(cell: Measurement) -> Iterator[_Fact]:
    """The quantities of one cell."""
    if cell.failure is not None:
        kind = "timing" if cell.key.phase in TIMED else "shapes" if cell.key.phase == "shapes" else "memory"
        yield from (_fact(name, Quantity(reason=cell.failure.message)) for name in _HEADLINES[kind])
    if cell.shapes is not None:
        yield from _shapes(cell.shapes)
    if cell.memory is not None:
        yield from (_fact(name, getattr(cell.memory, field), scale=1 / MIB) for name, field in MEMORY.items())
    if cell.timing is not None:
        yield from _timing(cell.timing, cell.key.batch_size)


def _fact(
    quantity: str, found: Quantity | NotMeasured | float, statistic: str = "value", scale: float = 1.0, **more: Any
) -> _Fact:
    value = found if isinstance(found, float | int) else found.value if isinstance(found, Quantity) else None
    reason = None if isinstance(found, float | int) else found.reason
    scaled = np.nan if value is None else scale * value
    own = {"low": np.nan, "high": np.nan} | more
    return {"quantity": quantity, "statistic": statistic, "value": scaled, "reason": reason or "", **own}


def _shapes(shapes: Shapes) -> Iterator[_Fact]:
    for name in ("parameters", "trainable_parameters", "model_size_mb", "gmacs", "training_gmacs"):
        yield _fact(name, float(getattr(shapes, name)))
    for name in ("int64", "uint8", "two_bit"):
        kept = sum(getattr(shapes.decoder_storage, f"{name}_bytes"))
        yield _fact(f"decoder_storage_{name}_mib", kept / MIB)
    for phase, live in (("inference-memory", shapes.inference_live), ("training-memory", shapes.training_live)):
        for part in ("peak", *LIVE_PARTS):
            name = f"live_{part}_mib"
            yield _fact(name, getattr(live, f"{part}_bytes") / MIB, phase=phase, batch=live.batch_size)


def _timing(timing: Timing, batch: int) -> Iterator[_Fact]:
    time = timing.time
    medians = [one.median_ms for one in time.rounds]
    interval = timing.interval_ms
    ends = {} if isinstance(interval, NotMeasured) else {"low": interval.low, "high": interval.high}
    yield _fact("latency_ms", time.median_ms, "median", **ends)
    for statistic in ("p90", "p95", "p99", "iqr"):
        yield _fact("latency_ms", getattr(time, f"{statistic}_ms"), statistic)
    yield _fact("latency_ms", time.spread_percent, "spread_percent")
    yield _fact("latency_ms", float(time.n), "n")
    yield _fact("latency_ms", float(len(medians)), "rounds")
    yield _fact("latency_ms", float(timing.processes), "processes")
    yield _fact("throughput_images_s", 1000 * batch / time.median_ms, "median")
    yield from _energy(timing, batch)
    yield from _window(timing)
    yield from _roofline(timing)
    yield _fact("outside_kernels_percent", timing.outside_kernels, scale=100)
    yield _fact("compile_s", timing.compile_s)


def _energy(timing: Timing, batch: int) -> Iterator[_Fact]:
    energy, name, scale = timing.energy, "energy_j_per_image", 1 / 1000 / batch
    if isinstance(energy, NotMeasured):
        yield _fact(name, energy, "above_idle")
        return
    yield _fact(name, energy.above_idle_mj, "above_idle", scale)
    yield _fact(name, energy.raw_mj, "raw", scale)
    yield _fact(name, energy.integrated_mj, "integrated", scale)
    yield _fact("idle_power_w", energy.idle_w)
    if energy.context_idle_w.value is not None:  # not of earlier revisions
        yield _fact(name, energy.above_context_idle_mj, "above_context_idle", scale)
        yield _fact("context_idle_power_w", energy.context_idle_w)
    yield _fact("energy_window_s", sum(energy.window_s), "sum")


def _window(timing: Timing) -> Iterator[_Fact]:
    window = timing.window
    if not isinstance(window, NotMeasured):
        yield _fact("busy_samples", float(window.busy_samples), "n")
    for name in RANGES:
        found = window if isinstance(window, NotMeasured) else getattr(window, name)
        if isinstance(found, NotMeasured):
            yield _fact(name, found, "median")
        else:
            yield _fact(name, found.median, "median", low=found.low, high=found.high)


def _roofline(timing: Timing) -> Iterator[_Fact]:
    found = timing.roofline
    if isinstance(found, NotMeasured):
        yield _fact("achieved_tflops", found)
        return
    for field in type(found).model_fields:
        percent = field.startswith("share_")
        name = field.replace("copy_gbs", "copy_gb_s") + ("_percent" if percent else "")
        yield _fact(name, getattr(found, field), scale=100.0 if percent else 1.0)
