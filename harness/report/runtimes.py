"""The report on other runtimes and precisions: a table for each device and image size in `results/runtimes/`."""

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.runtimes import RUNTIMES, RuntimeRecord
from harness.report.comparisons import comparison_files
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.spec import Column, pipe_table

MIB, MB = 2**20, 10**6
# What each precision is to keep to: time over that of torch in float32, and points of mIoU lost on val.
TIME_GOALS = {"bf16": 0.42, "int8": 0.25}
MIOU_GOALS = {"bf16": 0.2, "int8": 1.0}
# column of the page -> (column of the frame, its format, factor)
_COLUMNS = {
    "ms": ("latency_ms", "{:,.1f}", 1.0),
    "torch fp32, ms": ("baseline_ms", "{:,.1f}", 1.0),
    "of it": ("ratio", "{:.2f}", 1.0),
    "memory, MiB": ("peak_rss_bytes", "{:,.0f}", 1 / MIB),
    "file, MB": ("file_bytes", "{:,.1f}", 1 / MB),
    "mIoU, %": ("miou", "{:.2f}", 1.0),
    "lost": ("miou_lost", "{:+.2f}", 1.0),
    "equal labels, %": ("equal_labels", "{:.2f}", 100.0),
    "codes changed, %": ("codes_changed", "{:.3f}", 100.0),
}


def runtimes_files(results: Path) -> dict[str, bytes]:
    """README.md and runtimes.csv, by name; empty where nothing was measured. Damaged records are named."""
    return comparison_files(
        RUNTIMES,
        results,
        page=lambda records: {
            "sections": [_section(list(group)) for _, group in groupby(records, key=_place)],
            "time_goals": TIME_GOALS,
            "miou_goals": MIOU_GOALS,
        },
        frame=runtimes_frame,
        order=_place,
    )


def runtimes_frame(records: Sequence[RuntimeRecord]) -> pd.DataFrame:
    """A row a record: what it is of, its figures (NaN where there are none) and whether it keeps to the goals.

    baseline_ms, ratio: latency of torch in float32 in the same session, and latency over it. miou and miou_lost: on
    val, percent and points.
    equal_labels, codes_changed: shares. missed: goals that are missed, by space; none where there are no goals.
    """
    return pd.DataFrame([_row(record) for record in records])


def _row(record: RuntimeRecord) -> dict[str, Any]:
    latency = record.time.median_ms if record.time else None
    base, miou, base_miou = record.baseline_ms.value, record.miou.value, record.baseline_miou.value
    ratio = latency / base if latency is not None and base else None
    lost = base_miou - miou if miou is not None and base_miou is not None else None
    goals = ((ratio, TIME_GOALS, "time"), (lost, MIOU_GOALS, "mIoU"))
    missed = [
        name
        for value, limits, name in goals
        if value is not None and record.precision in limits and value > limits[record.precision]
    ]
    return {
        "name": record.name,
        "architecture": record.architecture,
        "run_id": record.run_id,
        "height": record.size[0],
        "width": record.size[1],
        "device": record.device_slug,
        "threads": record.threads,
        "preset": record.preset,
        "session": record.session,
        "runtime": record.runtime,
        "precision": record.precision,
        "latency_ms": latency,
        "spread_percent": record.time.spread_percent if record.time else None,
        "baseline_ms": base,
        "ratio": ratio,
        "peak_rss_bytes": record.peak_rss_bytes.value,
        "file_bytes": record.file_bytes.value,
        "miou": miou,
        "miou_lost": lost,
        "equal_labels": record.equal_labels.value,
        "largest_difference": record.largest_difference.value,
        "codes_changed": record.codes_changed.value,
        "calibration_images": record.calibration_images,
        "missed": " ".join(missed),
        "failure": record.failure or "",
    }


def _place(record: RuntimeRecord) -> tuple[str, tuple[int, int], int, str]:
    """What a table is of; records of one name stand together in it, in the order of their files."""
    return record.device_slug, record.size, record.threads, record.preset


def _section(records: list[RuntimeRecord]) -> dict[str, Any]:
    """What the page shows of records that stand in one table."""
    columns = [
        Column(header="network", cell=lambda row: _title(row["architecture"], row["run_id"]), text=True),
        Column(header="runtime", cell="{runtime} {precision}".format_map, text=True),
        *(column(head, name, _scaled(form, by), missing="n/a") for head, (name, form, by) in _COLUMNS.items()),
        Column(header="missed", cell=lambda row: "n/a" if row["failure"] else row["missed"]),
    ]
    named = {f"{one.runtime} {one.precision}, {_title(one.architecture, one.run_id)}": one for one in records}
    return {
        "record": records[0],
        "table": pipe_table(runtimes_frame(records), columns),
        "reasons": {name: one.failure for name, one in named.items() if one.failure},
        "drawn": any(not one.run_id for one in records),
        "warnings": {name: one.warnings for name, one in named.items() if one.warnings},
    }


def _title(architecture: str, run_id: str) -> str:
    return title(architecture) if run_id else f"{title(architecture)} (drawn weights)"


def _scaled(form: str, factor: float) -> Callable[[float], str]:
    return lambda value: form.format(value * factor)
