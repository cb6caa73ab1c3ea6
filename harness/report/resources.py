"""The measurements of a suite, sorted so that each group's may stand in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.records.measurement import (
    PAPER_SIZE,
    STEP_BATCH,
    MeasurementRecord,
    MeasureSpec,
    Phase,
    load_measurements,
)
from harness.report.collect import SuiteRecords
from harness.report.families import Family
from harness.report.grouping import grouped, input_size, network_order, outdated_architecture
from harness.report.store import Store

# The preferred measurement for a plot: a GPU's, then the most thorough one.
_EFFORTS = ("full", "lease", "cpu", "quick")


@dataclass(frozen=True, kw_only=True)
class MeasurementGroup:
    """Measurements that may stand in one table: same device, precision, options, preset, size and threads."""

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
    def plain(self) -> bool:
        """Whether the networks were run without any option."""
        return not self.first.spec.options

    @property
    def reduced(self) -> str:
        """Why these are reduced measurements; empty for full ones."""
        if not self.first.reduced:
            return ""
        return f"input {self.size[0]} x {self.size[1]} instead of {PAPER_SIZE[0]} x {PAPER_SIZE[1]}"

    @property
    def slug(self) -> str:
        """Name of the table's files."""
        return _slug(self.first, f"{self.size[0]}x{self.size[1]}")

    def of(self, architecture: str) -> MeasurementRecord | None:
        """The measurement of an architecture."""
        return next((one for one in self.records if one.spec.architecture == architecture), None)

    @property
    def step_batch(self) -> int:
        """Batch of the training step: the protocol's of CamVid, or the smallest that was measured."""
        found = sorted(batch for phase, batch in self.timed if phase == "training-step")
        return found[0] if found and STEP_BATCH not in found else STEP_BATCH

    @property
    def timed(self) -> set[tuple[Phase, int]]:
        """Phase and batch of every cell of any network."""
        return {(cell.key.phase, cell.key.batch_size) for record in self.records for cell in record.cells}


@dataclass(frozen=True, kw_only=True)
class Series:
    """Measurements that differ by network and input size alone, for how figures grow with the input."""

    records: tuple[MeasurementRecord, ...]

    @property
    def first(self) -> MeasurementRecord:
        """Any of them, for what they share."""
        return self.records[0]

    @property
    def slug(self) -> str:
        """Name of its plots' files."""
        return _slug(self.first)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs (height, width), by pixels."""
        return sorted({record.spec.size for record in self.records}, key=lambda size: (size[0] * size[1], size))

    @property
    def networks(self) -> list[str]:
        """Architectures in the order of the report."""
        return list(dict.fromkeys(record.spec.architecture for record in self.records))

    def of(self, architecture: str) -> list[MeasurementRecord]:
        """The measurements of an architecture, by size."""
        own = [record for record in self.records if record.spec.architecture == architecture]
        return sorted(own, key=lambda record: self.sizes.index(record.spec.size))


def _slug(record: MeasurementRecord, *more: str) -> str:
    spec = record.spec
    parts = [record.device_slug, *more, spec.precision, *spec.options, spec.preset]
    return "-".join([*parts, *([f"{spec.threads}t"] if spec.device == "cpu" else [])])


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """The measurements that a suite's report shows, full ones first; and what could not be shown.

    series: those of the same networks at all sizes.
    """

    groups: tuple[MeasurementGroup, ...]
    series: tuple[Series, ...]
    unreadable: tuple[str, ...]
    outdated: tuple[tuple[str, str], ...]


def collect_measurements(results: Path | Store, records: SuiteRecords) -> Measurements:
    """The measurements of a suite: its networks and number of classes, at its runs' size and the paper's.

    A suite on drawn data shows the paper's size only where there is no measurement at the size of its runs.
    """
    folder = results.results if isinstance(results, Store) else results
    found, unreadable = load_measurements(folder)
    classes = records.dataset.num_classes
    own = {*records.suite.architectures, *records.networks} if records.suite.measures else set()
    fitting = [one for one in found if one.spec.num_classes == classes and one.spec.architecture in own]
    sizes = {input_size(group.protocol, records.dataset) for group in records.groups}
    chosen = [record for record in fitting if record.spec.size in sizes]
    if not records.dataset.synthetic or (sizes and not chosen):
        chosen = [record for record in fitting if record.spec.size in {*sizes, PAPER_SIZE}]
    outdated = tuple((_name(one), reason) for one in chosen if (reason := _outdated(one)))
    groups = _groups(records, [one for one in chosen if not _outdated(one)])
    return Measurements(
        groups=groups,
        series=_series(records, groups, [one for one in fitting if not _outdated(one)]),
        unreadable=tuple(sorted(reason.replace(f"{folder}/", "") for _, reason in unreadable)),
        outdated=outdated,
    )


def _name(record: MeasurementRecord) -> str:
    return f"measurements/{record.device_slug}/{record.spec.file_name}"


def _outdated(record: MeasurementRecord) -> str:
    spec = record.spec
    return outdated_architecture(spec.architecture, spec.architecture_revision, spec.architecture_source)


_Key = tuple[object, ...]


def _series_key(record: MeasurementRecord) -> _Key:
    spec = record.spec
    threads = spec.threads if spec.device == "cpu" else 0
    return record.device_slug, spec.precision, spec.options, spec.preset, threads


def _group_key(record: MeasurementRecord) -> _Key:
    return *_series_key(record), record.spec.size


def _together(
    records: SuiteRecords, found: Sequence[MeasurementRecord], key: Callable[[MeasurementRecord], _Key]
) -> dict[_Key, list[MeasurementRecord]]:
    """Measurements by what they share, networks in the order of the report."""
    order = network_order(records.suite, [record.spec.architecture for record in found])
    placed = sorted(found, key=lambda record: order.index(record.spec.architecture))
    return {key(members[0]): members for members in grouped(placed, key)}


def _groups(records: SuiteRecords, found: Sequence[MeasurementRecord]) -> tuple[MeasurementGroup, ...]:
    members = _together(records, found, _group_key).values()
    groups = [MeasurementGroup(records=tuple(group)) for group in members]
    return tuple(sorted(groups, key=lambda group: (bool(group.reduced), *_preference(group.first.spec), group.slug)))


def _series(
    records: SuiteRecords, groups: Sequence[MeasurementGroup], fitting: Sequence[MeasurementRecord]
) -> tuple[Series, ...]:
    """All sizes of what the groups show, in the order of the groups."""
    members = _together(records, fitting, _series_key)
    shown = sorted(
        dict.fromkeys(_series_key(group.first) for group in groups),
        key=lambda key: _preference(members[key][0].spec),
    )
    return tuple(Series(records=tuple(members[key])) for key in shown)


def _preference(spec: MeasureSpec) -> tuple[bool, bool, int]:
    """Plain ones first, then a GPU's, then the most thorough."""
    return bool(spec.options), spec.device == "cpu", _EFFORTS.index(spec.preset)


def for_size(measurements: Measurements, size: tuple[int, int], precision: str) -> MeasurementGroup | None:
    """The plain measurements to plot beside runs of that size and precision, else what comes nearest.

    That is the same size in fp32, in which trained weights are kept whatever the precision of training; then
    the paper's size. A plot says where either differs.
    """
    for wanted in (size, PAPER_SIZE):
        fitting = [group for group in measurements.groups if group.size == wanted and group.plain]
        for kind in (precision, "fp32"):
            same = [group for group in fitting if group.first.spec.precision == kind]
            if same:
                return same[0]
    return None


def measurement_for(family: Family, size: tuple[int, int], measurements: Measurements) -> MeasurementGroup | None:
    """The one group of plain measurements that Table 1 takes: the paper's size first, then the runs' own.

    Of several, the one that holds most of the networks; among equals the first, which is a GPU's.

    Args:
        family: whose precision is taken.
        size: (height, width) of the input of the family's runs.
        measurements: the suite's.
    """
    for wanted in (PAPER_SIZE, size):
        fitting = [
            group
            for group in measurements.groups
            if group.plain and group.size == wanted and group.first.spec.precision == family.first.precision
        ]
        if fitting:
            return max(fitting, key=lambda group: len(group.records))
    return None
