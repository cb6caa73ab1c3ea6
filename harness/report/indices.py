"""The report on how pooling indices are stored: one table for each comparison in `results/indices/`."""

import statistics
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.measurement import INFERENCE_BATCH, PAPER_SIZE
from harness.records.pooling_indices import BASELINE, INDICES, IndexRecord, StorageBytes
from harness.records.speed import spread
from harness.report.comparisons import comparison_files
from harness.report.grouping import extent
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.spec import Column, pipe_table

MIB = 2**20
# What compact storage was built to keep to: bytes as a share of int64's, and time over that of torch's pair.
BYTES_TARGET = {"uint8": 1 / 8, "2bit": 1 / 32}
TIME_TARGET = {
    ("cpu", "inference"): 1.10,
    ("cpu", "training step"): 1.03,
    ("cuda", "inference"): 0.97,
    ("cuda", "training step"): 0.97,
}


def indices_files(results: Path) -> dict[str, bytes]:
    """README.md and indices.csv, by name; empty where nothing was compared. Damaged records are named."""
    return comparison_files(
        INDICES,
        results,
        page=lambda records: {"records": [_section(record) for record in records]},
        frame=lambda records: pd.concat([_frame(record) for record in records]),
    )


def bytes_frame(record: IndexRecord) -> pd.DataFrame:
    """Storage, index_bytes, index_share (of int64's), inference_live_mib, training_live_mib."""
    base = _of(record, BASELINE)
    return pd.DataFrame(
        {
            "storage": one.storage,
            "index_bytes": one.index_bytes,
            "index_share": one.index_bytes / base.index_bytes,
            "inference_live_mib": one.inference_live_peak_bytes / MIB,
            "training_live_mib": one.training_live_peak_bytes / MIB,
        }
        for one in record.storages
    )


def times_frame(record: IndexRecord) -> pd.DataFrame:
    """Storage, phase, layout, batch, n, median_ms, and ratio with its quartiles ratio_low and ratio_high.

    A ratio is that of a storage's time to int64's in the same round; of n rounds, the median.
    """
    rows = []
    for one in record.times:
        base = record.samples(BASELINE, one.phase, one.layout)
        ratios = [ours / theirs for ours, theirs in zip(one.samples_ms, base, strict=True)]
        found = spread(ratios)
        rows.append(
            {
                "storage": one.storage,
                "phase": one.phase,
                "layout": one.layout,
                "batch": one.batch,
                "n": len(ratios),
                "median_ms": statistics.median(one.samples_ms),
                "ratio": found.median,
                "ratio_low": found.low,
                "ratio_high": found.high,
            }
        )
    return pd.DataFrame(rows)


def targets(record: IndexRecord) -> pd.DataFrame:
    """A row a target: storage, what, found and limit (shares of int64's), met."""
    times, base = times_frame(record).to_dict("records"), _of(record, BASELINE)
    rows: list[dict[str, object]] = []
    for storage, share in BYTES_TARGET.items():
        one = _of(record, storage)
        found = [("index bytes", one.index_bytes / base.index_bytes, share)]
        peak = one.training_live_peak_bytes / base.training_live_peak_bytes
        found += [("peak of a training step", peak, 1.0)]
        found += [
            (f"time of {row['phase']}, {row['layout']}", float(row["ratio"]), TIME_TARGET[record.device, row["phase"]])
            for row in times
            if row["storage"] == storage
        ]
        for what, value, limit in found:
            met = value < limit if what.startswith("peak") else value <= limit
            rows.append({"storage": storage, "what": what, "found": value, "limit": limit, "met": met})
    return pd.DataFrame(rows)


def _section(record: IndexRecord) -> dict[str, Any]:
    """What the page shows of a record."""
    storage, share = column("storage", "storage", text=True), "{:.4g}".format
    kept = [
        storage,
        column("indices of one image, bytes", "index_bytes", "{:,}".format),
        column("of int64's", "index_share", share),
        column(f"inference peak, batch {INFERENCE_BATCH}, MiB live", "inference_live_mib", "{:,.1f}".format),
        column(f"training step peak, batch {record.training_batch}, MiB live", "training_live_mib", "{:,.1f}".format),
    ]
    times = [
        Column(header="phase", cell=lambda row: f"{row['phase']}, batch {row['batch']}", text=True),
        column("layout", "layout", text=True),
        storage,
        column("rounds", "n"),
        column("median, ms", "median_ms", "{:,.1f}".format),
        Column(header="over int64's", cell="{ratio:.3f} [{ratio_low:.3f}, {ratio_high:.3f}]".format_map),
    ]
    aims = [
        storage,
        column("what", "what", text=True),
        column("found", "found", share),
        column("limit", "limit", share),
        column("met", "met", lambda met: "met" if met else "NOT met"),
    ]
    return {
        "head": f"{title(record.architecture)} at {extent(record.size)}, {record.precision}, {record.device_name}",
        "reduced": record.size != PAPER_SIZE,
        "bytes": pipe_table(bytes_frame(record), kept),
        "times": pipe_table(times_frame(record).sort_values(["phase", "layout"], kind="stable"), times),
        "targets": pipe_table(targets(record), aims),
        "record": record,
    }


def _frame(record: IndexRecord) -> pd.DataFrame:
    """All figures of a record, each row with what they are of."""
    frame = bytes_frame(record).merge(times_frame(record), on="storage")
    origin = {
        "architecture": record.architecture,
        "size": f"{record.size[0]}x{record.size[1]}",
        "precision": record.precision,
        "device": record.device_name,
        "threads": record.threads,
    }
    return pd.concat([pd.DataFrame([origin] * len(frame), index=frame.index), frame], axis=1)


def _of(record: IndexRecord, storage: str) -> StorageBytes:
    return next(one for one in record.storages if one.storage == storage)
