"""Table 6 of one device: time, memory and size of each network, and their ratios to SegNet's beside the paper's."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pandas as pd

from harness import paper
from harness.metrics.significance import difference
from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH, MeasurementRecord, Phase
from harness.report.costs import COSTS, INFERENCE, PHASES, SIZE, TIMES, TRAINING, WHOLE, Cost
from harness.report.measurement_frame import time_sample
from harness.report.resources import MeasurementGroup
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.render import significant
from harness.report.tables.spec import Column, Row, TableSpec
from harness.system.quantities import NotMeasured

# Ratios are taken to the paper's own network, on the same device; by the table that a suite fills.
REFERENCES: Mapping[str, str] = {"table1": "segnet-basic"}


def table6(group: MeasurementGroup, reference: str, *, with_paper: bool) -> pd.DataFrame:
    """A row a network: the paper's order, then those that it does not have; memory in MiB, times in ms.

    Columns network, architecture, of each of COSTS its value X and X_reason where there is none; of those
    with a ratio X_ratio (to the reference on this device) and, with the paper's figures, X_paper and
    X_ratio_paper; of a time X_ratio_no_difference: whether noise could explain its difference to the
    reference; and flags: doubts about the measurement.
    """
    published = {row.network: row for row in paper.resources()} if with_paper else {}
    base = group.of(reference)
    ordered = sorted(group.records, key=lambda record: _place(record, list(published)))
    rows = [_row(record, base, published, title(reference)) for record in ordered]
    measured = {str(row["network"]) for row in rows}
    rows += [_paper_row(name, published, title(reference)) for name in published if name not in measured]
    frame = pd.DataFrame(rows)
    marks = [str(column) for column in frame if str(column).endswith("_no_difference")]
    return frame.astype({"parameters": "Int64", **dict.fromkeys(marks, "boolean")})


def _place(record: MeasurementRecord, published: Sequence[str]) -> int:
    named = title(record.spec.architecture)
    return published.index(named) if named in published else len(published)


def _row(
    record: MeasurementRecord, base: MeasurementRecord | None, published: Mapping[str, paper.Resources], base_title: str
) -> dict[str, Any]:
    named = title(record.spec.architecture)
    cells: dict[str, Any] = {"network": named, "architecture": record.spec.architecture}
    for cost in COSTS:
        found = cost.read(record)
        cells |= {cost.name: found.value, f"{cost.name}_reason": found.reason}
        if cost.ratio:
            under = cost.read(base).value if base else None
            cells[f"{cost.name}_ratio"] = found.value / under if found.value is not None and under else None
    for phase in PHASES:
        cells[f"{phase.replace('-', '_')}_ms_ratio_no_difference"] = _no_difference(record, base, phase)
    cells["flags"] = " ".join(record.flags)
    return cells | _paper_row(named, published, base_title)


def _paper_row(network: str, published: Mapping[str, paper.Resources], base_title: str) -> dict[str, Any]:
    cells: dict[str, Any] = {"network": network}
    for cost in COSTS if published else ():
        if cost.paper:
            row = published.get(network)
            value = getattr(row, cost.paper) if row else None
            cells[f"{cost.name}_paper"] = value
            cells[f"{cost.name}_ratio_paper"] = value / getattr(published[base_title], cost.paper) if value else None
    return cells


def _no_difference(record: MeasurementRecord, base: MeasurementRecord | None, phase: Phase) -> bool | None:
    """None for the reference itself, and where either is missing."""
    found = time_sample(record, phase)
    under = time_sample(base, phase) if base else NotMeasured(reason="not measured")
    if record is base or isinstance(found, NotMeasured) or isinstance(under, NotMeasured):
        return None
    gap = difference(found, under)
    return None if isinstance(gap, NotMeasured) else gap.is_tie


@lru_cache(maxsize=1)  # four tables are made of it
def _values(section: Section) -> pd.DataFrame:
    if section.device is None:
        return pd.DataFrame()
    with_paper = section.suite.table == "table3" and not section.dataset.synthetic
    return table6(section.device, REFERENCES.get(section.suite.table, "segnet"), with_paper=with_paper)


def columns_of(costs: Sequence[Cost]) -> Callable[[Section, pd.DataFrame], list[Column]]:
    """Columns of these figures, as far as some network has them; ratios beside the paper's."""

    def columns(section: Section, frame: pd.DataFrame) -> list[Column]:
        found = [column("network", "network", text=True)]
        for cost in costs:
            if frame[cost.name].notna().any():
                found.append(column(cost.header, cost.name, _digits(cost.digits), top="here", missing="n/a"))
            if cost.ratio and frame[f"{cost.name}_ratio"].notna().any():
                head, theirs = f"{cost.header.split(',')[0]}: ratio", f"{cost.name}_ratio_paper"
                found.append(Column(header=head, cell=_ratio(cost.name), top="here"))
                if theirs in frame:
                    found.append(column(f"{head}, paper", theirs, significant, top="paper", missing="n/a"))
        return found

    return columns


def _digits(count: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.0f}" if count >= WHOLE else significant(value, count)


def _ratio(cost: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        value, same = row[f"{cost}_ratio"], row.get(f"{cost}_ratio_no_difference")
        if value is None or pd.isna(value):
            return "n/a"
        return f"{value:.2f}" + (" ≈" if same is not None and not pd.isna(same) and same else "")

    return cell


def _part(name: str, heading: str, place: int, costs: Sequence[Cost], *notes: str) -> TableSpec:
    """Empty where no network was measured for it, but for the first part, whose file holds all.

    Networks that were not measured for it have no row; that file says why.
    """

    def measured(frame: pd.DataFrame) -> pd.Series:
        return frame.reindex(columns=[cost.name for cost in costs]).notna().any(axis=1)

    def values(section: Section) -> pd.DataFrame:
        frame = _values(section)
        return frame if place == 0 or measured(frame).any() else pd.DataFrame()

    return TableSpec(
        name=name,
        heading=heading,
        place=place,
        values=values,
        columns=columns_of([cost for cost in costs if cost.shown]),
        notes=lambda section, frame: notes,
        subject="costs",
        latex=True,
        csv=place == 0,
        rows=lambda frame: frame[measured(frame)],
    )


# One table in parts, since together they are too wide for a page; the first one's CSV file holds all.
TABLE = (
    _part("table6", "Time", 0, TIMES, "times", "titan"),
    _part("table6-inference", f"Memory of inference, batch {INFERENCE_BATCH}", 1, INFERENCE, "memory"),
    _part("table6-training", f"Memory of training, batch {TRAINING_BATCH}", 2, TRAINING, "memory"),
    _part("table6-size", "Size and work", 3, SIZE, "size"),
)
