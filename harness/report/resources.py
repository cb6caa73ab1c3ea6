"""Resources: Table 6 of one device, precision, effort and size, as a frame of values.

Memory in MiB (2^20 bytes), model size in MB (10^6 bytes, as the paper has it), times in milliseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import architectures
from datasets import DatasetInfo
from harness import paper
from harness.measure.record import (
    PAPER_SIZE,
    MeasurementRecord,
    Memory,
    Quantity,
    TimeSummary,
    load_measurements,
)
from harness.report.groups import SuiteRecords, input_size, network_order, title
from harness.suite import Suite, Table

MIB = 2**20
# Ratios are taken to the paper's own network, on the same device; by the table that a suite fills.
REFERENCES: Mapping[Table, str] = {"table1": "segnet-basic", "table3": "segnet"}
# Columns that Table 6 of the paper has, and what they are compared with.
COMPARED = {
    "forward_ms": "forward_ms",
    "backward_ms": "backward_ms",
    "training_live_mib": "train_memory_mb",
    "inference_live_mib": "inference_memory_mb",
    "model_size_mb": "model_size_mb",
}
_MEMORY = {
    "live_mib": "live_peak_bytes",
    "allocated_mib": "allocated_peak_bytes",
    "reserved_mib": "reserved_peak_bytes",
    "nvml_mib": "nvml_used_minus_idle_bytes",
    "process_mib": "process_rss_peak_bytes",
}
_SPLIT = {
    "live_weights_mib": "weights_bytes",
    "live_gradients_mib": "gradients_bytes",
    "live_optimiser_mib": "optimiser_state_bytes",
    "live_rest_mib": "rest_bytes",
}
# Columns of whole numbers, some of them missing.
_COUNTS = ("parameters", "trainable_parameters", "forward_samples", "backward_samples")
# The preferred measurement for a plot: a GPU's, then the most thorough one.
_EFFORTS = ("full", "lease", "cpu", "quick")


@dataclass(frozen=True, kw_only=True)
class MeasurementGroup:
    """Measurements that may stand in one table: same device, precision, effort, size and threads."""

    records: tuple[MeasurementRecord, ...]

    @property
    def first(self) -> MeasurementRecord:
        """Any of them, for what they share."""
        return self.records[0]

    @property
    def size(self) -> tuple[int, int]:
        """Input (height, width)."""
        return self.first.spec.size

    @property
    def reduced(self) -> str:
        """Why these are reduced measurements; empty for full ones."""
        if not self.first.reduced:
            return ""
        return f"input {self.size[0]} x {self.size[1]} instead of {PAPER_SIZE[0]} x {PAPER_SIZE[1]}"

    @property
    def slug(self) -> str:
        """Name of the table's files."""
        spec = self.first.spec
        parts = [self.first.device_slug, f"{self.size[0]}x{self.size[1]}", spec.precision, spec.effort]
        return "-".join([*parts, *([f"{spec.threads}t"] if spec.device == "cpu" else [])])

    def of(self, architecture: str) -> MeasurementRecord | None:
        """The measurement of an architecture."""
        return next((one for one in self.records if one.spec.architecture == architecture), None)


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The measurements that a suite's report shows, full ones first; and what could not be shown."""

    groups: tuple[MeasurementGroup, ...]
    unreadable: tuple[str, ...]
    outdated: tuple[tuple[str, str], ...]


def collect_measurements(results: Path, records: SuiteRecords) -> Measurements:
    """The measurements of a suite: its networks and number of classes, at its runs' size and the paper's.

    A suite on drawn data shows the paper's size only where there is no measurement at the size of its runs.
    """
    found, unreadable = load_measurements(results)
    classes = records.dataset.num_classes
    own = {*records.suite.architectures, *records.networks}
    fitting = [one for one in found if one.spec.num_classes == classes and one.spec.architecture in own]
    sizes = {input_size(group.protocol, records.dataset) for group in records.groups}
    chosen = [record for record in fitting if record.spec.size in sizes]
    if not records.dataset.drawn or (sizes and not chosen):
        chosen = [record for record in fitting if record.spec.size in {*sizes, PAPER_SIZE}]
    outdated = tuple((_name(one), reason) for one in chosen if (reason := _outdated(one)))
    return Measurements(
        groups=_groups(records, [one for one in chosen if not _outdated(one)]),
        unreadable=tuple(sorted(reason.replace(f"{results}/", "") for _, reason in unreadable)),
        outdated=outdated,
    )


def _name(record: MeasurementRecord) -> str:
    return f"measurements/{record.device_slug}/{record.spec.file_name}"


def _outdated(record: MeasurementRecord) -> str:
    spec = record.spec
    try:
        revision = architectures.info(spec.architecture).revision
    except architectures.ArchitectureError:
        return ""
    if spec.architecture_revision != revision:
        return f"revision {spec.architecture_revision} of {spec.architecture}, now {revision}"
    return ""


def _groups(records: SuiteRecords, found: Sequence[MeasurementRecord]) -> tuple[MeasurementGroup, ...]:
    order = network_order(records.suite, [record.spec.architecture for record in found])
    members: dict[tuple[object, ...], list[MeasurementRecord]] = {}
    for record in sorted(found, key=lambda record: order.index(record.spec.architecture)):
        spec = record.spec
        threads = spec.threads if spec.device == "cpu" else 0
        key = (record.device_slug, spec.precision, spec.effort, spec.size, threads)
        members.setdefault(key, []).append(record)
    groups = [MeasurementGroup(records=tuple(group)) for group in members.values()]
    return tuple(sorted(groups, key=lambda group: (bool(group.reduced), *_preference(group), group.slug)))


def _preference(group: MeasurementGroup) -> tuple[bool, int]:
    spec = group.first.spec
    return spec.device == "cpu", _EFFORTS.index(spec.effort)


def for_size(measurements: Measurements, size: tuple[int, int], precision: str) -> MeasurementGroup | None:
    """The measurements to plot beside runs of that size and precision, failing that of the paper's size."""
    for wanted in (size, PAPER_SIZE):
        fitting = [group for group in measurements.groups if group.size == wanted]
        same = [group for group in fitting if group.first.spec.precision == precision]
        if same:
            return same[0]
    return None


class Footnotes:
    """Reasons for what is n/a, numbered in the order in which they come up."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """The mark of a reason, such as `n/a (2)`."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"n/a ({self.reasons.index(reason) + 1})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a suite's resources are held against.

    table: that the suite fills. reference: architecture that ratios are to. with_paper: whether the paper's
    Table 6 stands beside; it has none of the networks of Table 1.
    """

    table: Table
    reference: str
    with_paper: bool

    @property
    def name(self) -> str:
        """Of the table of resources."""
        return "Resources" if self.table == "table1" else "Table 6"

    @property
    def file_start(self) -> str:
        """Start of the names of its files."""
        return self.name.lower().replace(" ", "")


def comparison(suite: Suite, dataset: DatasetInfo) -> Comparison:
    """What the resources of a suite's networks are held against."""
    with_paper = suite.table == "table3" and not dataset.drawn
    return Comparison(table=suite.table, reference=REFERENCES[suite.table], with_paper=with_paper)


def table6(group: MeasurementGroup, against: Comparison) -> pd.DataFrame:
    """Table 6 of one device: a row a network in the paper's order, then those that the paper does not have.

    For each compared column X: X, X_reason, X_ratio (to the reference), X_ratio_reason and, with the paper's
    figures, X_paper and X_ratio_paper. Besides p90, IQR, spread and number of samples of the times, the
    further memory figures, parameters and GMACs, each with its reason.
    """
    published = {row.network: row for row in paper.resources()} if against.with_paper else {}
    reference = group.of(against.reference)
    base_title = title(against.reference)
    rows = []
    for network, record in _rows(group, list(published)):
        cells: dict[str, object] = {"network": network, "status": _status(record)}
        values = _values(record) if record else {}
        base = _values(reference) if reference else {}
        for name, quantity in values.items():
            cells[name] = quantity.value
            cells[f"{name}_reason"] = quantity.reason
        for name, theirs in COMPARED.items():
            cells |= _ratio(name, values.get(name), base.get(name), base_title, reference is not None)
            if against.with_paper:
                cells |= _paper_cells(name, theirs, published, network, base_title)
        cells["flags"] = " ".join(record.flags) if record else None
        rows.append(cells)
    frame = pd.DataFrame(rows)
    return frame.astype({name: "Int64" for name in _COUNTS if name in frame})


def _rows(group: MeasurementGroup, published: Sequence[str]) -> list[tuple[str, MeasurementRecord | None]]:
    rows: list[tuple[str, MeasurementRecord | None]] = []
    titles = {record.spec.architecture: title(record.spec.architecture) for record in group.records}
    for network in [*published, *(text for text in dict.fromkeys(titles.values()) if text not in published)]:
        ours = [record for record in group.records if titles[record.spec.architecture] == network]
        rows += [(network, record) for record in ours] or [(network, None)]
    return rows


def _status(record: MeasurementRecord | None) -> str:
    if record is None:
        return "not measured"
    return f"failed: {record.failure.message}" if record.failure else "finished"


def _values(record: MeasurementRecord) -> dict[str, Quantity]:
    values = _times("forward", record.forward, record.forward_reason)
    values |= _times("backward", record.backward, record.backward_reason)
    values |= _memory("training", record.training_memory) | _memory("inference", record.inference_memory)
    values["model_size_mb"] = record.model_size_mb
    values["parameters"] = record.parameters
    values["trainable_parameters"] = record.trainable_parameters
    values["gmacs"] = record.gmacs
    return values


def _times(phase: str, time: TimeSummary | None, reason: str | None) -> dict[str, Quantity]:
    names = (
        f"{phase}_ms",
        f"{phase}_p90_ms",
        f"{phase}_iqr_ms",
        f"{phase}_spread_percent",
        f"{phase}_samples",
    )
    if time is None:
        return dict.fromkeys(names, Quantity(reason=reason))
    figures = (time.median_ms, time.p90_ms, time.iqr_ms, time.spread_percent, float(time.n))
    return {name: Quantity(value=value) for name, value in zip(names, figures, strict=True)}


def _memory(phase: str, memory: Memory) -> dict[str, Quantity]:
    values = {f"{phase}_{name}": _mib(getattr(memory, field)) for name, field in _MEMORY.items()}
    split = {f"{phase}_{name}": _mib(getattr(memory.live_split, field)) for name, field in _SPLIT.items()}
    return values | split


def _mib(quantity: Quantity) -> Quantity:
    return quantity if quantity.value is None else Quantity(value=quantity.value / MIB)


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


def _paper_cells(
    name: str, theirs: str, published: dict[str, paper.Resources], network: str, base_title: str
) -> dict[str, Any]:
    row, base = published.get(network), published[base_title]
    value = getattr(row, theirs) if row else None
    return {f"{name}_paper": value, f"{name}_ratio_paper": value / getattr(base, theirs) if value else None}
