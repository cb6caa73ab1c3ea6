"""Table 6 of one device, precision, options, preset and size, as a frame of values.

Memory in MiB (2^20 bytes), model size in MB (10^6 bytes, as the paper has it), times in milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.config.suite import Suite, Table
from harness.records.measurement import TIME_BATCH, MeasurementRecord, Phase
from harness.records.measurement_values import TimeSummary
from harness.report.groups import title
from harness.report.readings import Use, as_cells, live_mib, memory_mib, shape_figure, timing
from harness.report.resources import MeasurementGroup
from harness.system.quantities import Quantity

# Ratios are taken to the paper's own network, on the same device; by the table that a suite fills.
REFERENCES: Mapping[Table, str] = {
    "table1": "segnet-basic",
    "table3": "segnet",
    "table4": "segnet",
    "none": "segnet",
    "recipes": "segnet",
}
# Columns that Table 6 of the paper has, and what they are compared with.
COMPARED = {
    "forward_ms": "forward_ms",
    "backward_ms": "backward_ms",
    "training_live_mib": "train_memory_mb",
    "inference_live_mib": "inference_memory_mb",
    "model_size_mb": "model_size_mb",
}
# The times among them, each a cell of its own at batch 1.
TIMES: Mapping[str, Phase] = {"forward_ms": "forward", "backward_ms": "backward"}
_MEMORY = {
    "allocated_mib": "allocated_peak_bytes",
    "reserved_mib": "reserved_peak_bytes",
    "nvml_mib": "nvml_used_minus_idle_bytes",
    "process_mib": "process_rss_peak_bytes",
}
# Columns of whole numbers, some of them missing; and of yes or no.
_COUNTS = ("parameters", "trainable_parameters", "forward_samples", "backward_samples")
_MARKS = tuple(f"{name}_ratio_no_difference" for name in TIMES)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a suite's resources are held against.

    table: that the suite fills. reference: architecture that ratios are to. with_paper: whether the paper's
    Table 6 stands beside; it has none of the networks of Table 1, nor rivals of today.
    """

    table: Table
    reference: str
    with_paper: bool

    @property
    def name(self) -> str:
        """Of the table of resources."""
        return "Table 6" if self.table == "table3" else "Resources"

    @property
    def file_start(self) -> str:
        """Start of the names of its files."""
        return self.name.lower().replace(" ", "")


def comparison(suite: Suite, dataset: DatasetInfo) -> Comparison:
    """What the resources of a suite's networks are held against."""
    with_paper = suite.table == "table3" and not dataset.synthetic
    return Comparison(table=suite.table, reference=REFERENCES[suite.table], with_paper=with_paper)


def table6(group: MeasurementGroup, against: Comparison) -> pd.DataFrame:
    """Table 6 of one device: a row a network in the paper's order, then those that the paper does not have.

    For each compared column X: X, X_reason, X_ratio (to the reference), X_ratio_reason and, with the paper's
    figures, X_paper and X_ratio_paper; of a time X_ratio_no_difference too. Besides p90, IQR, spread and
    number of samples of the times, the device's memory, parameters and GMACs, each with its reason.
    """
    published = {row.network: row for row in paper.resources()} if against.with_paper else {}
    reference = group.of(against.reference)
    base_title = title(against.reference)
    rows = []
    for network, record in _rows(group, list(published)):
        cells: dict[str, object] = {"network": network, "status": status(record)}
        values = _values(record) if record else {}
        base = _values(reference) if reference else {}
        for name, quantity in values.items():
            cells |= as_cells(name, quantity)
        for name, theirs in COMPARED.items():
            cells |= _ratio(name, values.get(name), base.get(name), base_title, reference is not None)
            if name in TIMES:
                cells[f"{name}_ratio_no_difference"] = _no_difference(record, reference, TIMES[name])
            if against.with_paper:
                cells |= _paper_cells(name, theirs, published, network, base_title)
        cells["flags"] = " ".join(record.flags) if record else None
        rows.append(cells)
    frame = pd.DataFrame(rows)
    kinds = {name: "Int64" for name in _COUNTS if name in frame} | dict.fromkeys(_MARKS, "boolean")
    return frame.astype(kinds)


def _rows(group: MeasurementGroup, published: Sequence[str]) -> list[tuple[str, MeasurementRecord | None]]:
    rows: list[tuple[str, MeasurementRecord | None]] = []
    titles = {record.spec.architecture: title(record.spec.architecture) for record in group.records}
    for network in [*published, *(text for text in dict.fromkeys(titles.values()) if text not in published)]:
        ours = [record for record in group.records if titles[record.spec.architecture] == network]
        rows += [(network, record) for record in ours] or [(network, None)]
    return rows


def status(record: MeasurementRecord | None) -> str:
    """What became of a network's measurement; a failed cell is named with its reason."""
    if record is None:
        return "not measured"
    failed = [f"{cell.key}: {cell.failure.message}" for cell in record.failures if cell.failure]
    return f"failed: {'; '.join(failed)}" if failed else "finished"


def _values(record: MeasurementRecord) -> dict[str, Quantity]:
    values = _times(record, "forward") | _times(record, "backward")
    values |= _memory(record, "training") | _memory(record, "inference")
    values["model_size_mb"] = shape_figure(record, lambda shapes: shapes.model_size_mb)
    values["parameters"] = shape_figure(record, lambda shapes: shapes.parameters)
    values["trainable_parameters"] = shape_figure(record, lambda shapes: shapes.trainable_parameters)
    values["gmacs"] = shape_figure(record, lambda shapes: shapes.gmacs)
    values["training_gmacs"] = shape_figure(record, lambda shapes: shapes.training_gmacs)
    return values


def _times(record: MeasurementRecord, phase: Phase) -> dict[str, Quantity]:
    names = (
        f"{phase}_ms",
        f"{phase}_p90_ms",
        f"{phase}_iqr_ms",
        f"{phase}_spread_percent",
        f"{phase}_samples",
    )
    time = _time(record, phase)
    if time is None:
        return dict.fromkeys(names, Quantity(reason=record.reason(phase, TIME_BATCH)))
    figures = (time.median_ms, time.p90_ms, time.iqr_ms, time.spread_percent, float(time.n))
    return {name: Quantity(value=value) for name, value in zip(names, figures, strict=True)}


def _time(record: MeasurementRecord | None, phase: Phase) -> TimeSummary | None:
    found = timing(record, phase, TIME_BATCH) if record else None
    return found.time if found else None


def _memory(record: MeasurementRecord, use: Use) -> dict[str, Quantity]:
    values = {f"{use}_live_mib": live_mib(record, use)}
    return values | {f"{use}_{name}": memory_mib(record, use, field) for name, field in _MEMORY.items()}


def _ratio(
    name: str, value: Quantity | None, base: Quantity | None, base_title: str, referenced: bool
) -> dict[str, Any]:
    if value is None or value.value is None:
        reason = value.reason if value else "not measured on this device"
    elif not referenced:
        reason = f"no measurement of {base_title} on this device"
    elif base is None or not base.value:
        reason = f"{base_title}: {base.reason if base and base.reason else 'no figure'}"
    else:
        return {f"{name}_ratio": value.value / base.value, f"{name}_ratio_reason": None}
    return {f"{name}_ratio": None, f"{name}_ratio_reason": reason}


def _no_difference(record: MeasurementRecord | None, reference: MeasurementRecord | None, phase: Phase) -> bool | None:
    """Whether a time is the reference's within twice the larger spread of rounds.

    None for the reference itself, where either is missing, and where one round alone has no spread.
    """
    time, base = _time(record, phase), _time(reference, phase)
    if time is None or base is None or record is reference:
        return None
    if min(len(time.rounds), len(base.rounds)) < 2:
        return None
    spread_ms = max(one.spread_percent / 100 * one.median_ms for one in (time, base))
    return abs(time.median_ms - base.median_ms) < 2 * spread_ms


def _paper_cells(
    name: str, theirs: str, published: dict[str, paper.Resources], network: str, base_title: str
) -> dict[str, Any]:
    row, base = published.get(network), published[base_title]
    value = getattr(row, theirs) if row else None
    return {f"{name}_paper": value, f"{name}_ratio_paper": value / getattr(base, theirs) if value else None}
