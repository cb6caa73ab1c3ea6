"""The report on how pooling indices are stored: one table for each comparison in `results/indices/`."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pandas as pd

from harness.records.measurement import INFERENCE_BATCH, PAPER_SIZE
from harness.records.pooling_indices import BASELINE, IndexRecord, Phase, StorageBytes, load_indices
from harness.report.groups import title
from harness.report.tables import csv, left_out_section, listing, markdown
from harness.report.wording import extent

FOLDER = "indices"
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
    damaged: list[str] = []
    records = load_indices(results, damaged.append)
    if not records and not damaged:
        return {}
    text = [
        "# How pooling indices are stored\n",
        "Regenerated from `results/indices/` alone by `python -m harness report`. Do not edit it by hand.\n",
        listing(_general()),
    ]
    for record in records:
        text += _section(record)
    text += left_out_section(damaged, results)
    frames = [bytes_frame(record).merge(times_frame(record), on=["storage"]) for record in records]
    files = {"README.md": "\n".join(part.rstrip("\n") + "\n" for part in text).encode()}
    if records:
        whole = pd.concat([_with_origin(*pair) for pair in zip(records, frames, strict=True)])
        files["indices.csv"] = csv(whole).encode()
    return files


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
        low, middle, high = _quartiles(ratios)
        rows.append(
            {
                "storage": one.storage,
                "phase": one.phase,
                "layout": one.layout,
                "batch": one.batch,
                "n": len(ratios),
                "median_ms": statistics.median(one.samples_ms),
                "ratio": middle,
                "ratio_low": low,
                "ratio_high": high,
            }
        )
    return pd.DataFrame(rows)


def targets(record: IndexRecord) -> list[str]:
    """Each target with what was measured and whether it was met."""
    times, base = times_frame(record).to_dict("records"), _of(record, BASELINE)
    lines = []
    for storage, share in BYTES_TARGET.items():
        one = _of(record, storage)
        found = one.index_bytes / base.index_bytes
        lines.append(f"{storage}: index bytes {found:.4g} of int64's (target {share:.4g}): {_met(found <= share)}.")
        lower = one.training_live_peak_bytes < base.training_live_peak_bytes
        lines.append(
            f"{storage}: peak of a training step "
            f"{(base.training_live_peak_bytes - one.training_live_peak_bytes) / MIB:,.1f} MiB under int64's "
            f"(target: lower): {_met(lower)}."
        )
        for phase in get_args(Phase):
            limit = TIME_TARGET[record.device, phase]
            lines += [
                f"{storage}, {phase}, {row['layout']}: {row['ratio']:.3f} of int64's time "
                f"(target: at most {limit:.2f}): {_met(float(row['ratio']) <= limit)}."
                for row in times
                if (row["storage"], row["phase"]) == (storage, phase)
            ]
    return lines


def _general() -> list[str]:
    return [
        "`int64`: torch's own pair of pooling and unpooling, which keeps a position of 64 bits a window. "
        "`uint8`: a code of 0 to 3 a window, a byte each. `2bit`: four codes a byte. Pooled values, unpooled "
        "maps and gradients are the same bits with all three.",
        "Times are taken in turns in one process: in each round every storage once, in rotated order; ratios "
        "are taken within a round. Shown are their median and quartiles.",
        "Live memory: bytes of all tensors alive at the peak, counted on torch's CPU code path (MiB = 2^20).",
    ]


def _section(record: IndexRecord) -> list[str]:
    commit = record.environment.get("git_commit")
    what = f"{title(record.architecture)} at {extent(record.size)}"
    head = f"## {what}, {record.precision}, {record.device_name}\n"
    reduced = "" if record.size == PAPER_SIZE else f"**REDUCED: input {extent(record.size)}**\n"
    facts = [
        f"Measured {record.measured_at[:10]} in {record.wall_s:.0f} s, "
        f"torch {record.environment.get('torch')}, {record.threads} threads, code {str(commit)[:10]}"
        f"{' (changed)' if record.environment.get('git_dirty') else ''}.",
        *(f"Doubtful: {flag}." for flag in record.flags),
        f"Made by `python -m harness measure-indices {record.architecture} --size "
        f"{record.size[0]}x{record.size[1]} --classes {record.num_classes} --device {record.device} "
        f"--precision {record.precision}`.",
    ]
    tables = [
        f"### Bytes\n\n{markdown(_bytes_text(record))}",
        f"### Times\n\n{markdown(_times_text(record), 3)}",
    ]
    aims = f"### Targets\n\n{listing(targets(record))}"
    return [head, reduced, *tables, aims, listing(facts)] if reduced else [head, *tables, aims, listing(facts)]


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


def _with_origin(record: IndexRecord, frame: pd.DataFrame) -> pd.DataFrame:
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


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _met(met: bool) -> str:
    return "met" if met else "NOT met"
