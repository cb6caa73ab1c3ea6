"""Resources in full: all that was measured of one device's networks, as a frame of values.

Memory in MiB (2^20 bytes), times in milliseconds, energy in millijoules, power in watts.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from harness.records.measurement import PHASES, THROUGHPUT_BATCH, TIME_BATCH, TIMED, MeasurementRecord, Phase
from harness.records.measurement_values import DeviceWindow, Energy, Range, Roofline, Timing
from harness.report.groups import title
from harness.report.inference_memory import LIVE_PARTS
from harness.report.readings import (
    MEMORY_CELLS,
    Figure,
    as_cells,
    live_mib,
    memory_mib,
    time_figure,
)
from harness.report.resources import MeasurementGroup
from harness.report.table6 import status
from harness.system.quantities import NotMeasured, Quantity

RANGES = ("sm_clock_mhz", "memory_clock_mhz", "temperature_c", "power_w")
# Column of the frame -> field of `DeviceMemory`.
MEMORY = {
    "allocated_mib": "allocated_peak_bytes",
    "warmup_allocated_mib": "warmup_allocated_peak_bytes",
    "reserved_mib": "reserved_peak_bytes",
    "warmup_reserved_mib": "warmup_reserved_peak_bytes",
    "workspace_mib": "workspace_bytes",
    "nvml_mib": "nvml_used_minus_idle_bytes",
    "context_mib": "context_bytes",
    "process_mib": "process_rss_peak_bytes",
    "process_idle_mib": "process_rss_idle_bytes",
}
_Reader = Callable[[Timing, int], Figure]


def cell_name(phase: Phase, batch: int) -> str:
    """Start of the names of a timed cell's columns, such as `training_step_b5`."""
    return f"{phase.replace('-', '_')}_b{batch}"


def timed_cells(group: MeasurementGroup) -> list[tuple[Phase, int]]:
    """Phase and batch of the timed cells that a full measurement has, and of further ones that there are."""
    wanted: set[tuple[Phase, int]] = {
        ("forward", TIME_BATCH),
        ("forward", THROUGHPUT_BATCH),
        ("end-to-end", TIME_BATCH),
        ("backward", TIME_BATCH),
        ("training-step", group.step_batch),
    }
    found = {(phase, batch) for phase, batch in group.timed if phase in TIMED}
    return sorted(wanted | found, key=lambda cell: (PHASES.index(cell[0]), cell[1]))


def resources_full(group: MeasurementGroup) -> pd.DataFrame:
    """A row a network; for each figure X columns X and X_reason.

    Of a timed cell C (see `cell_name`): C_median_ms and what else `_READERS` has; of inference and training:
    live_peak_mib and its parts, and the device's memory (`MEMORY`).
    """
    return pd.DataFrame([_row(group, record) for record in group.records])


def _row(group: MeasurementGroup, record: MeasurementRecord) -> dict[str, object]:
    cells: dict[str, object] = {
        "network": title(record.spec.architecture),
        "architecture": record.spec.architecture,
        "status": status(record),
    }
    for phase, batch in timed_cells(group):
        for name, read in _readers().items():
            cells |= as_cells(f"{cell_name(phase, batch)}_{name}", _timed(record, phase, batch, read))
    for use in MEMORY_CELLS:
        for part in ("peak", *LIVE_PARTS):
            cells |= as_cells(f"{use}_live_{part}_mib", live_mib(record, use, part))
        for name, field in MEMORY.items():
            cells |= as_cells(f"{use}_{name}", memory_mib(record, use, field))
    return cells


def _timed(record: MeasurementRecord, phase: Phase, batch: int, read: _Reader) -> Figure:
    return time_figure(record, phase, batch, lambda timing: read(timing, batch))


def _readers() -> Mapping[str, _Reader]:
    readers: dict[str, _Reader] = {
        "median_ms": lambda timing, batch: timing.time.median_ms,
        "p90_ms": lambda timing, batch: timing.time.p90_ms,
        "p95_ms": lambda timing, batch: timing.time.p95_ms,
        "p99_ms": lambda timing, batch: timing.time.p99_ms,
        "iqr_ms": lambda timing, batch: timing.time.iqr_ms,
        "n": lambda timing, batch: float(timing.time.n),
        "spread_percent": lambda timing, batch: timing.time.spread_percent,
        "rounds": lambda timing, batch: float(len(timing.time.rounds)),
        "processes": lambda timing, batch: float(timing.processes),
        "images_per_s": lambda timing, batch: 1000 * batch / timing.time.median_ms,
        "raw_mj": lambda timing, batch: _energy(timing, lambda energy: energy.raw_mj),
        "above_idle_mj": lambda timing, batch: _energy(timing, lambda energy: energy.above_idle_mj),
        "raw_mj_per_image": lambda timing, batch: _energy(timing, lambda energy: energy.raw_mj / batch),
        "above_idle_mj_per_image": lambda timing, batch: _energy(
            timing, lambda energy: _over(energy.above_idle_mj, batch)
        ),
        "idle_w": lambda timing, batch: _energy(timing, lambda energy: energy.idle_w),
        "integrated_mj": lambda timing, batch: _energy(timing, lambda energy: energy.integrated_mj),
        "window_s": lambda timing, batch: _energy(timing, lambda energy: sum(energy.window_s)),
        "achieved_tflops": lambda timing, batch: _roofline(timing, lambda roof: roof.achieved_tflops),
        "matmul_tflops": lambda timing, batch: _roofline(timing, lambda roof: roof.matmul_tflops),
        "copy_gbs": lambda timing, batch: _roofline(timing, lambda roof: roof.copy_gbs),
        "share_of_matmul": lambda timing, batch: _roofline(timing, lambda roof: roof.share_of_matmul),
        "share_of_roof": lambda timing, batch: _roofline(timing, lambda roof: roof.share_of_roof),
        "outside_kernels": lambda timing, batch: timing.outside_kernels,
        "compile_s": lambda timing, batch: timing.compile_s,
        "busy_samples": lambda timing, batch: _window(timing, lambda window: float(window.busy_samples)),
        "throttle_reasons": lambda timing, batch: _window(timing, _throttle),
    }
    ranges = {f"{field}_{end}": _range(field, end) for field in RANGES for end in ("low", "median", "high")}
    return readers | ranges


def _range(field: str, end: str) -> _Reader:
    return lambda timing, batch: _window(timing, lambda window: _end(getattr(window, field), end))


def _energy(timing: Timing, read: Callable[[Energy], Figure]) -> Figure:
    return timing.energy if isinstance(timing.energy, NotMeasured) else read(timing.energy)


def _roofline(timing: Timing, read: Callable[[Roofline], Figure]) -> Figure:
    return timing.roofline if isinstance(timing.roofline, NotMeasured) else read(timing.roofline)


def _window(timing: Timing, read: Callable[[DeviceWindow], Figure]) -> Figure:
    return timing.window if isinstance(timing.window, NotMeasured) else read(timing.window)


def _end(found: Range | NotMeasured, end: str) -> Figure:
    if isinstance(found, NotMeasured):
        return found
    value: Any = getattr(found, end)
    return float(value)


def _throttle(window: DeviceWindow) -> Figure:
    found = window.throttle_reasons
    return found if isinstance(found, NotMeasured) else ", ".join(found) or "none"


def _over(quantity: Quantity, batch: int) -> Quantity:
    return quantity if quantity.value is None else Quantity(value=quantity.value / batch)
