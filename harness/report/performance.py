"""The report on the comparison with the PyTorch baseline: a table for each record in `results/performance/`."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.speed import PERFORMANCE, Entry, PerformanceRecord, Spread, spread
from harness.report.comparisons import comparison_files
from harness.report.grouping import extent
from harness.report.plots.performance import compared, ratios_plot
from harness.report.tables.cells import column
from harness.report.tables.render import markdown, significant
from harness.report.tables.spec import Column, Row, pipe_table

# Early records have other words for the baseline.
_FORMER_WORDS = ("the plain way", "the PyTorch baseline")


def performance_files(results: Path) -> dict[str, bytes]:
    """README.md, performance.csv and a plot for each record, by name; empty where nothing was compared.

    Damaged records are named.
    """
    pictures: dict[str, bytes] = {}

    def page(records: list[PerformanceRecord]) -> dict[str, Any]:
        whole = [record for record in records if not record.reduced]
        pictures.update({picture_name(one): ratios_plot(one).data for one in records if compared(one)})
        return {
            "targets": markdown(targets_table(whole)) if whole else "",
            "records": [_section(record) for record in records],
            "entries": _entries(records),
        }

    # the paper's size first; reduced records have tables and plots of their own
    files = comparison_files(
        PERFORMANCE,
        results,
        page,
        frame=lambda records: pd.concat([frame(record) for record in records]),
        order=lambda record: record.reduced,
    )
    return files | pictures


def frame(record: PerformanceRecord) -> pd.DataFrame:
    """One row an entry: both sides' median seconds, the ratio with its quartiles, the target, whether met."""
    return pd.DataFrame([_row(record, entry) for entry in record.entries]).astype({"images": "Int64"})


def _row(record: PerformanceRecord, entry: Entry) -> dict[str, Any]:
    ours, opponent, ratio = (_spread(values) for values in (entry.ours_s, entry.opponent_s, entry.ratios))
    target = entry.target
    return {
        "device": record.device_name,
        "threads": record.threads,
        "size": f"{record.size[0]}x{record.size[1]}",
        "entry": entry.name,
        "images": entry.images,
        "n": len(entry.ours_s),
        "ours_s": ours.median,
        "opponent": entry.opponent and entry.opponent.replace(*_FORMER_WORDS),
        "opponent_s": opponent.median,
        "ratio": ratio.median,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "target": f"{target.quantity} at most {target.at_most:g}" if target else None,
        "met": _met(entry.met) if target else None,
        "failure": entry.failure,
    }


def _spread(values: Sequence[float]) -> Spread:
    return spread(values) if values else Spread(low=math.nan, median=math.nan, high=math.nan)


def targets_table(records: Sequence[PerformanceRecord]) -> pd.DataFrame:
    """The figure of each entry that has a target, as text, a column for each record; sections say more."""
    aims: dict[str, dict[str, str]] = {}
    for record in records:
        head = f"{record.device_name}, {record.threads} threads, {extent(record.size)}"
        for entry in record.entries:
            if entry.target is not None:
                row = aims.setdefault(entry.name, {"what": entry.title, "target": _target(entry)})
                found, unit = (entry.ratios, "") if entry.target.quantity == "ratio" else (entry.ours_s, " s")
                row[head] = f"{_figure(spread(found).median)}{unit}: {_met(entry.met)}" if found else "n/a: NOT met"
    return pd.DataFrame(list(aims.values())).fillna("–")


def picture_name(record: PerformanceRecord) -> str:
    """File of a record's plot."""
    return f"{Path(record.file_name).stem}.png"


def _head(record: PerformanceRecord) -> str:
    return f"{record.device_name}, {record.threads} threads, input {extent(record.size)}"


def _section(record: PerformanceRecord) -> dict[str, Any]:
    """What the page shows of a record."""
    environments = record.environments
    return {
        "head": _head(record),
        "reduced": record.reduced,
        "times": _times(record),
        "picture": picture_name(record) if compared(record) else "",
        "doubts": [
            (entry.title, [*entry.notes, *entry.flags]) for entry in record.entries if entry.notes or entry.flags
        ],
        "failed": [(entry.title, entry.failure) for entry in record.entries if entry.failure],
        "days": sorted({entry.measured_at[:10] for entry in record.entries}),
        "torch": sorted({str(one.get("torch")) for one in environments}),
        "commits": sorted({str(one.get("git_commit"))[:10] for one in environments}),
        "changed": any(one.get("git_dirty") for one in environments),
        "command": "make performance-baseline" if record.reduced else "make performance",
    }


def _times(record: PerformanceRecord) -> str:
    """The table of a record."""
    shown = frame(record).assign(
        what=[entry.title for entry in record.entries], aim=[_target(entry) for entry in record.entries]
    )

    def against(form: str, *names: str) -> Callable[[Row], str]:
        def cell(row: Row) -> str:
            if pd.isna(row[names[0]]):
                return "–" if pd.isna(row["opponent"]) else "n/a"
            return form.format(*(_figure(row[name]) for name in names))

        return cell

    columns = [
        column("what", "what", text=True),
        column("rounds", "n", lambda count: str(count or "n/a")),
        column("ours, s", "ours_s", _figure, missing="n/a"),
        Column(header="opponent, s", cell=against("{}", "opponent_s")),
        Column(header="ratio", cell=against("{} [{}, {}]", "ratio", "ratio_low", "ratio_high")),
        column("target", "aim"),
        column("met", "met"),
    ]
    return pipe_table(shown, columns)


def _entries(records: Sequence[PerformanceRecord]) -> dict[str, list[tuple[str, list[str]]]]:
    """Title -> (what a sample is and whom it is compared with, heads of the sections where it is so)."""
    found: dict[str, dict[str, list[str]]] = {}
    for record in records:
        for entry in record.entries:
            text = f"{entry.what}. Against {entry.opponent}" if entry.opponent else entry.what
            text = text.replace(*_FORMER_WORDS).replace(f", {extent(record.size)}", "")  # the head says it
            found.setdefault(entry.title, {}).setdefault(text, []).append(_head(record))
    return {title: list(texts.items()) for title, texts in found.items()}


def _target(entry: Entry) -> str:
    if entry.target is None:
        return "–"
    unit = " s" if entry.target.quantity == "seconds" else " of its time"
    return f"at most {entry.target.at_most:g}{unit}"


def _figure(value: float) -> str:
    """Three digits that count, of whatever magnitude."""
    return significant(value) if value >= 1 else f"{value:#.3g}"


def _met(met: bool | None) -> str:
    return "met" if met else "NOT met"
