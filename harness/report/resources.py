"""The measurements of a suite, sorted so that each group's may stand in one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from datasets import DatasetInfo
from harness.config.suite import Suite
from harness.records.measurement import (
    INFERENCE_BATCH,
    PAPER_SIZE,
    STEP_BATCH,
    TIME_BATCH,
    MeasurementRecord,
    MeasureSpec,
    Phase,
)
from harness.report.families import Family
from harness.report.grouping import Group, grouped, input_size, network_order, outdated_architecture
from harness.report.store import Store, architecture_info, title

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

    @property
    def coarse(self) -> dict[str, int]:
        """Title -> output stride of the networks whose forward pass ends at less than the input's size."""
        known = {one.spec.architecture: architecture_info(one.spec.architecture) for one in self.records}
        return {title(name): info.output_stride for name, info in known.items() if info and info.output_stride > 1}

    @property
    def rebuilt(self) -> list[str]:
        """Titles of the networks that have other parameters at another input."""
        known = {one.spec.architecture: architecture_info(one.spec.architecture) for one in self.records}
        return [title(name) for name, info in known.items() if info and info.fixed_size]

    @property
    def doubts(self) -> list[str]:
        """What of the forward passes means something else than it would mean now."""
        cells = ((one, one.cell("forward", TIME_BATCH)) for one in self.records)
        return list(dict.fromkeys(text for one, cell in cells if cell for text in one.outdated(cell)))

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


def suite_measurements(
    store: Store, suite: Suite, dataset: DatasetInfo, groups: Sequence[Group], networks: Sequence[str]
) -> Measurements:
    """The measurements of a suite: its networks and number of classes, at its runs' size and the paper's.

    A suite on drawn data shows the paper's size only where there is no measurement at the size of its runs.
    """
    found, unreadable = store.measured
    own = {*suite.architectures, *networks} if suite.measures else set()
    fitting = [one for one in found if one.spec.num_classes == dataset.num_classes and one.spec.architecture in own]
    sizes = {input_size(group.protocol, group.dataset) for group in groups}
    chosen = [record for record in fitting if record.spec.size in sizes]
    if not dataset.synthetic or (sizes and not chosen):
        chosen = [record for record in fitting if record.spec.size in {*sizes, PAPER_SIZE}]
    shown = _groups(suite, [one for one in chosen if not _outdated(one)])
    return Measurements(
        groups=shown,
        series=_series(suite, shown, [one for one in fitting if not _outdated(one)]),
        unreadable=unreadable,
        outdated=tuple((_name(one), reason) for one in chosen if (reason := _outdated(one))),
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
    suite: Suite, found: Sequence[MeasurementRecord], key: Callable[[MeasurementRecord], _Key]
) -> dict[_Key, list[MeasurementRecord]]:
    """Measurements by what they share, networks in the order of the report."""
    order = network_order(suite, [record.spec.architecture for record in found])
    placed = sorted(found, key=lambda record: order.index(record.spec.architecture))
    return {key(members[0]): members for members in grouped(placed, key)}


def _groups(suite: Suite, found: Sequence[MeasurementRecord]) -> tuple[MeasurementGroup, ...]:
    members = _together(suite, found, _group_key).values()
    groups = [MeasurementGroup(records=tuple(group)) for group in members]
    return tuple(sorted(groups, key=lambda group: (bool(group.reduced), *_preference(group.first.spec), group.slug)))


def _series(
    suite: Suite, groups: Sequence[MeasurementGroup], fitting: Sequence[MeasurementRecord]
) -> tuple[Series, ...]:
    """All sizes of what the groups show, in the order of the groups."""
    members = _together(suite, fitting, _series_key)
    shown = sorted(
        dict.fromkeys(_series_key(group.first) for group in groups),
        key=lambda key: _preference(members[key][0].spec),
    )
    return tuple(Series(records=tuple(members[key])) for key in shown)


def _preference(spec: MeasureSpec) -> tuple[bool, bool, int]:
    """Plain ones first, then a GPU's, then the most thorough."""
    return bool(spec.options), spec.device == "cpu", _EFFORTS.index(spec.preset)


def beside_scores(
    measurements: Measurements, suite: Suite, dataset: DatasetInfo, family: Family
) -> MeasurementGroup | None:
    """The one group of plain measurements that stands beside the scores of a family's runs.

    It is at the runs' input, else at the paper's; for Table 1 at the paper's first. It is in the runs' precision,
    else in fp32, in which trained weights are kept whatever the precision of training. What was measured in part,
    such as times alone, is left out, for it has no memory to show. Of several groups the one that holds most of
    the networks; among equals the first, which is a GPU's. What shows it says where it differs from the runs.
    """
    sizes, networks = [input_size(family.first.protocol, dataset), PAPER_SIZE], [*family.networks]
    if suite.table == "table1":  # which shows what was not run too
        sizes.reverse()
        networks += suite.architectures
    whole = [
        one
        for one in measurements.groups
        if one.plain and ("shapes", INFERENCE_BATCH) in one.timed and one.first.spec.num_classes == dataset.num_classes
    ]
    for size, precision in product(sizes, (family.first.precision, "fp32")):
        fitting = [one for one in whole if one.size == size and one.first.spec.precision == precision]
        if fitting:
            return max(fitting, key=lambda one: sum(one.of(name) is not None for name in networks))
    return None
