"""The measurements of a suite, sorted so that each group's may stand in one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from datasets import DatasetInfo
from harness.config.suite import Suite
from harness.records.measurement import (
    PAPER_SIZE,
    STEP_BATCH,
    TIME_BATCH,
    MeasurementRecord,
    Phase,
    Preset,
)
from harness.report.grouping import Group, extent, grouped, input_size, network_order, outdated_architecture
from harness.report.store import Store, architecture_info, output_stride, title


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
        """Name of its files."""
        return _slug(self.first)

    @property
    def heading(self) -> str:
        """Device, precision, options and preset in one line."""
        return _title(self.first, "")

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs (height, width), by pixels."""
        return sorted({record.spec.size for record in self.records}, key=lambda size: (size[0] * size[1], size))

    @property
    def networks(self) -> list[str]:
        """Architectures in the order of the report."""
        return list(dict.fromkeys(record.spec.architecture for record in self.records))


@dataclass(frozen=True, kw_only=True)
class MeasurementGroup(Series):
    """Measurements that may stand in one table: of one input size too."""

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
        return f"input {extent(self.size)} instead of {extent(PAPER_SIZE)}"

    @property
    def slug(self) -> str:
        """Name of the table's files."""
        return _slug(self.first, f"{self.size[0]}x{self.size[1]}")

    @property
    def heading(self) -> str:
        """Device, input size, precision, options and preset in one line."""
        return _title(self.first, f"input {extent(self.size)}")

    @property
    def coarse(self) -> dict[str, int]:
        """Title -> output stride of the networks whose forward pass ends at less than the input's size."""
        return {title(name): stride for name in self.networks if (stride := output_stride(name)) > 1}

    @property
    def rebuilt(self) -> list[str]:
        """Titles of the networks that have other parameters at another input."""
        return [title(name) for name in self.networks if (info := architecture_info(name)) and info.fixed_size]

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


def _slug(record: MeasurementRecord, *more: str) -> str:
    spec = record.spec
    parts = [record.device_slug, *more, spec.precision, *spec.options, spec.preset]
    return "-".join([*parts, *([f"{spec.threads}t"] if spec.device == "cpu" else [])])


def _title(record: MeasurementRecord, size: str) -> str:
    spec = record.spec
    threads = f"{spec.threads} thread{'s' if spec.threads > 1 else ''}" if spec.device == "cpu" else ""
    # which torch's own default is not everywhere
    precision = "fp32 without TF32" if (spec.precision, spec.device) == ("fp32", "cuda") else spec.precision
    parts = [record.device_name, threads, size, precision, *spec.options, f"preset {spec.preset}"]
    return ", ".join(part for part in parts if part)


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
    made = [
        MeasurementGroup(records=tuple(members))
        for members in grouped(_current(suite, chosen), lambda record: (*_alike(record), record.spec.size))
    ]
    made.sort(key=lambda group: (bool(group.reduced), *_preference(group), group.slug))
    shown = list(dict.fromkeys(_alike(group.first) for group in made))
    series = [Series(records=tuple(members)) for members in grouped(_current(suite, fitting), _alike)]
    series = [one for one in series if _alike(one.first) in shown]
    series.sort(key=lambda one: (*_preference(one), shown.index(_alike(one.first))))
    return Measurements(
        groups=tuple(made),
        series=tuple(series),
        unreadable=unreadable,
        outdated=tuple(
            (f"measurements/{one.device_slug}/{one.spec.file_name}", reason)
            for one in chosen
            if (reason := outdated_architecture(one.spec))
        ),
    )


def _current(suite: Suite, found: Sequence[MeasurementRecord]) -> list[MeasurementRecord]:
    """Those that are not out of date, networks in the order of the report."""
    order = network_order(suite, [record.spec.architecture for record in found])
    current = [record for record in found if not outdated_architecture(record.spec)]
    return sorted(current, key=lambda record: order.index(record.spec.architecture))


def _alike(record: MeasurementRecord) -> tuple[object, ...]:
    """What the measurements of a series share."""
    spec = record.spec
    threads = spec.threads if spec.device == "cpu" else 0
    return record.device_slug, spec.precision, spec.options, spec.preset, threads


def _preference(one: Series) -> tuple[bool, bool, int]:
    """Plain ones first, then a GPU's, then the most thorough."""
    spec = one.first.spec
    return bool(spec.options), spec.device == "cpu", get_args(Preset).index(spec.preset)
