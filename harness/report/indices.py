"""The report on how pooling indices are stored: one table for each comparison in `results/indices/`."""

import statistics
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.measurement import INFERENCE_BATCH, PAPER_SIZE
from harness.records.pooling_indices import BASELINE, INDICES, IndexRecord, StorageBytes
from harness.records.speed import spread
from harness.report.comparisons import comparison_files
from harness.report.store import title
from harness.report.tables.render import markdown
from harness.report.wording import extent

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
    aims = targets(record)
    shown = aims.assign(
        found=[f"{value:.4g}" for value in aims["found"]],
        limit=[f"{value:.4g}" for value in aims["limit"]],
        met=[_met(met) for met in aims["met"]],
    )
    return {
        "head": f"{title(record.architecture)} at {extent(record.size)}, {record.precision}, {record.device_name}",
        "reduced": record.size != PAPER_SIZE,
        "bytes": markdown(_bytes_text(record)),
        "times": markdown(_times_text(record), 3),
        "targets": markdown(shown, 2),
        "record": record,
    }


def _bytes_text(record: IndexRecord) -> pd.DataFrame:
    frame = bytes_frame(record)
    return pd.DataFrame(
        {
            "storage": frame["storage"],
            "indices of one image, bytes": [f"{value:,}" for value in frame["index_bytes"]],
            "of int64's": [f"{value:.4g}" for value in frame["index_share"]],
            f"inference peak, batch {INFERENCE_BATCH}, MiB live": [
                f"{value:,.1f}" for value in frame["inference_live_mib"]
            ],
            f"training step peak, batch {record.training_batch}, MiB live": [
                f"{value:,.1f}" for value in frame["training_live_mib"]
            ],
        }
    )


def _times_text(record: IndexRecord) -> pd.DataFrame:
    frame = times_frame(record).sort_values(["phase", "layout"], kind="stable")
    return pd.DataFrame(
        {
            "phase": [f"{phase}, batch {batch}" for phase, batch in zip(frame["phase"], frame["batch"], strict=True)],
            "layout": frame["layout"],
            "storage": frame["storage"],
            "rounds": frame["n"],
            "median, ms": [f"{value:,.1f}" for value in frame["median_ms"]],
            "over int64's": [
                f"{row['ratio']:.3f} [{row['ratio_low']:.3f}, {row['ratio_high']:.3f}]"
                for row in frame.to_dict("records")
            ],
        }
    )


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


def _met(met: bool) -> str:
    return "met" if met else "NOT met"
