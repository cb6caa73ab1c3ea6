"""The report on other runtimes and precisions: a table for each device and image size in `results/runtimes/`."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.runtimes import RUNTIMES, RuntimeRecord
from harness.report.comparisons import comparison_files
from harness.report.store import title
from harness.report.tables.render import markdown

MIB, MB = 2**20, 10**6
# What each precision is to keep to: time over that of torch in float32, and points of mIoU lost on val.
TIME_GOALS = {"bf16": 0.42, "int8": 0.25}
MIOU_GOALS = {"bf16": 0.2, "int8": 1.0}
# column of the page -> (column of the frame, its format, factor)
_COLUMNS = {
    "ms": ("latency_ms", "{:,.1f}", 1.0),
    "of torch fp32": ("ratio", "{:.2f}", 1.0),
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

    ratio: latency over that of torch in float32 in the same session. miou and miou_lost: on val, percent and points.
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
    frame = runtimes_frame(records)
    table = pd.DataFrame(
        {
            "network": [_title(record) for record in records],
            "runtime": [f"{record.runtime} {record.precision}" for record in records],
            **{
                head: [_cell(row[name], form, factor) for _, row in frame.iterrows()]
                for head, (name, form, factor) in _COLUMNS.items()
            },
            "missed": ["n/a" if record.failure else row for record, row in zip(records, frame["missed"], strict=True)],
        }
    )
    reasons = {
        f"{record.runtime} {record.precision}, {_title(record)}": record.failure for record in records if record.failure
    }
    drawn = any(not record.run_id for record in records)
    return {
        "record": records[0],
        "table": markdown(table, 2),
        "reasons": reasons,
        "drawn": drawn,
        "warnings": {
            f"{record.runtime} {record.precision}, {_title(record)}": record.warnings
            for record in records
            if record.warnings
        },
    }


def _title(record: RuntimeRecord) -> str:
    return title(record.architecture) if record.run_id else f"{title(record.architecture)} (drawn weights)"


def _cell(value: float | None, form: str, factor: float) -> str:
    return "n/a" if value is None or pd.isna(value) else form.format(value * factor)
