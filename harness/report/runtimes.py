"""The report on other runtimes and precisions: a table for each device and image size in `results/runtimes/`."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, product
from pathlib import Path
from typing import Any

import pandas as pd

from harness.profiling.presets import SPREAD_LIMIT_PERCENT, spread_warning
from harness.records.runtimes import RUNTIMES, RuntimeRecord
from harness.report.comparisons import comparison_files
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.render import signed
from harness.report.tables.spec import Column, Row, pipe_table

MIB, MB = 2**20, 10**6
# What each precision is to keep to: time over that of torch in float32, and points of mIoU lost on val.
TIME_GOALS = {"bf16": 0.42, "int8": 0.25}
MIOU_GOALS = {"bf16": 0.2, "int8": 1.0}
# column of the page -> (column of the frame, its format, factor)
_COLUMNS: Mapping[str, tuple[str, Callable[[float], str], float]] = {
    "ms": ("latency_ms", "{:,.1f}".format, 1.0),
    "spread, %": ("spread_percent", "{:.1f}".format, 1.0),
    "torch fp32, ms": ("baseline_ms", "{:,.1f}".format, 1.0),
    "of it": ("ratio", "{:.2f}".format, 1.0),
    "memory, MiB": ("peak_rss_bytes", "{:,.0f}".format, 1 / MIB),
    "file, MB": ("file_bytes", "{:,.1f}".format, 1 / MB),
    "mIoU, %": ("miou", "{:.2f}".format, 1.0),
    "lost": ("miou_lost", signed, 1.0),
    "equal labels, %": ("equal_labels", "{:.2f}".format, 100.0),
    "codes changed, %": ("codes_changed", "{:.3f}".format, 100.0),
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
            "spread_limit": SPREAD_LIMIT_PERCENT,
        },
        frame=runtimes_frame,
        order=_place,
    )


def runtimes_frame(records: Sequence[RuntimeRecord]) -> pd.DataFrame:
    """A row a record: what it is of, its figures (NaN where there are none) and whether it keeps to the goals.

    baseline_ms, ratio: latency of torch in float32 in the same session, and latency over it. miou and miou_lost: on
    val, percent and points. operators: those that take most of the time, where that was looked at.
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
        "operators": ", ".join(f"{name} {share:.0%}" for name, share in record.operators.items()),
        "failure": record.failure or "",
    }


def _place(record: RuntimeRecord) -> tuple[str, tuple[int, int], int, str]:
    """What a table is of; records of one name stand together in it, in the order of their files."""
    return record.device_slug, record.size, record.threads, record.preset


def _section(records: list[RuntimeRecord]) -> dict[str, Any]:
    """What the page shows of records that stand in one table."""
    frame = pd.DataFrame(_rows(records))
    columns = [
        Column(header="network", cell=lambda row: _title(row["architecture"], row["run_id"]), text=True),
        Column(header="runtime", cell="{runtime} {precision}".format_map, text=True),
        *(column(head, name, _scaled(form, by), missing="n/a") for head, (name, form, by) in _COLUMNS.items()),
        Column(header="missed", cell=_missed(frame)),
    ]
    return {
        "record": records[0],
        "table": pipe_table(frame, columns),
        "reasons": _reasons(frame),
        "slow": [
            (f"{row['runtime']} {row['precision']} of {_title(row['architecture'], row['run_id'])}", row["operators"])
            for row in frame.to_dict("records")
            if "time" in str(row["missed"]).split() and row["operators"]
        ],
        "drawn": any(not one.run_id for one in records),
        "times": int(frame["latency_ms"].notna().sum()),
        "spread": int((frame["spread_percent"] > SPREAD_LIMIT_PERCENT).sum()),
        "baselines": [
            (_title(architecture, run_id), f"{low:,.1f}", f"{high:,.1f}")
            for (_, architecture, run_id), (low, high) in _baselines(frame).items()
            if 100 * (high / low - 1) > SPREAD_LIMIT_PERCENT
        ],
        "warnings": {
            f"{one.runtime} {one.precision}, {_title(one.architecture, one.run_id)}": lines
            for one in records
            if (lines := _further_warnings(one))
        },
    }


def _baselines(frame: pd.DataFrame) -> dict[tuple[str, ...], tuple[float, float]]:
    """Model -> lowest and highest latency of torch in float32 over the sessions in which the model was timed."""
    found = frame.groupby(["name", "architecture", "run_id"], sort=False)["baseline_ms"].agg(["min", "max"]).dropna()
    return {model: (low, high) for model, low, high in found.itertuples(name=None)}


def _missed(frame: pd.DataFrame) -> Callable[[Row], str]:
    """The goals that a row misses; the time with a question mark where another session's baseline says otherwise."""
    baselines = _baselines(frame)

    def cell(row: Row) -> str:
        if row["failure"]:
            return "n/a"
        goals, limit = str(row["missed"]).split(), TIME_GOALS.get(row["precision"])
        if limit is not None and pd.notna(row["latency_ms"]):
            ratios = [row["latency_ms"] / one for one in baselines[row["name"], row["architecture"], row["run_id"]]]
            if min(ratios) <= limit < max(ratios):
                goals = ["time ?", *(goal for goal in goals if goal != "time")]
        return ", ".join(goals)

    return cell


def _rows(records: Sequence[RuntimeRecord]) -> list[dict[str, Any]]:
    """A row a record, and one for each runtime and precision that a model lacks and another one has."""
    rows = {(_model(one), (one.runtime, one.precision)): _row(one) for one in records}
    models = dict.fromkeys(model for model, _ in rows)
    kinds = sorted({kind for _, kind in rows}, key="-".join)  # the order of their files
    return [rows.get((model, kind)) or _not_measured(*model, *kind) for model, kind in product(models, kinds)]


def _further_warnings(record: RuntimeRecord) -> list[str]:
    """All but that of the rounds' spread, which has a column."""
    spread = record.time and spread_warning(record.time.spread_percent)
    return [line for line in record.warnings if line != spread]


def _model(record: RuntimeRecord) -> tuple[str, str, str]:
    return record.name, record.architecture, record.run_id


def _not_measured(name: str, architecture: str, run_id: str, runtime: str, precision: str) -> dict[str, Any]:
    shared = {"name": name, "architecture": architecture, "run_id": run_id}
    return {**shared, "runtime": runtime, "precision": precision, "failure": "not measured"}


def _reasons(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(runtime and precision, networks, why they have no figures), rows of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in frame[frame["failure"] != ""].to_dict("records"):
        key = f"{row['runtime']} {row['precision']}", _readable(row["failure"])
        found.setdefault(key, []).append(_title(row["architecture"], row["run_id"]))
    models = len(frame.drop_duplicates(["name", "architecture", "run_id"]))
    return [
        (kind, "all networks" if len(titles) == models > 1 else ", ".join(titles), why)
        for (kind, why), titles in found.items()
    ]


def _readable(reason: str) -> str:
    """The first sentence of an error of someone else's code, without places in sources of C++."""
    text = re.sub(r"\S+\.(?:cc|cpp|cu|h|hpp):\d+", "C++ code", reason)
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0].rstrip(".")


def _title(architecture: str, run_id: str) -> str:
    return title(architecture) if run_id else f"{title(architecture)} (drawn weights)"


def _scaled(form: Callable[[float], str], factor: float) -> Callable[[float], str]:
    return lambda value: form(value * factor)
