"""Evidence: the groups of a suite's records that the paper's claims are held against."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from harness.paper.claims import Evidence, Quantity, Sample, Subject, Table, counted
from harness.records.measurement import TIME_BATCH, MeasurementRecord, Phase
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST, status
from harness.report.comparability import limits_of_claims
from harness.report.families import Family, families
from harness.report.groups import Group, SuiteRecords, input_size, title
from harness.report.readings import live_mib, shape_figure, timing
from harness.report.resources import MeasurementGroup, Measurements
from harness.report.samples import sample
from harness.report.table1 import measurement_for, storage_bytes
from harness.report.wording import describe, group_title
from harness.system.quantities import NotMeasured
from harness.system.quantities import Quantity as Number

_PHASES: Mapping[Quantity, Phase] = {"forward": "forward", "backward": "backward"}


def evidence(table: Table, records: SuiteRecords, measurements: Measurements) -> list[Evidence]:
    """Every group of a suite that may be held against a claim of that table; none on drawn data."""
    if records.dataset.synthetic:
        return []
    if table == "table6":
        return [_of_measurements(records, group) for group in measurements.groups if group.plain]
    if table == "table1":
        found = families(records.suite, records.groups)
        return [_of_family(records, family, measurements) for family in found if family.runs]
    return [_of_group(records, group) for group in records.groups if group.runs]


def _of_group(records: SuiteRecords, group: Group) -> Evidence:
    return Evidence(
        name=group_title(group),
        page=f"{records.suite.name}/{quote(_folder(records, group))}/{records.suite.table}.md",
        weights=group.weights.title,
        lesser=(*limits_of_claims(records.dataset), *_lesser(group, group.protocol.title)),
        figures=_GroupFigures(group=group),
    )


def _folder(records: SuiteRecords, group: Group) -> str:
    """Of the group's table; Table 4 joins a family's groups."""
    if records.suite.table != "table4":
        return group.slug
    return next(one.slug for one in families(records.suite, records.groups) if group in one.groups)


def _of_family(records: SuiteRecords, family: Family, measurements: Measurements) -> Evidence:
    first = family.first
    measured = measurement_for(family, input_size(first.protocol, records.dataset), measurements)
    return Evidence(
        name=group_title(first).replace(first.protocol.title, family.name),
        page=f"{records.suite.name}/{quote(family.slug)}/table1.md",
        weights=first.weights.title,
        lesser=_lesser(first, family.name),
        figures=_FamilyFigures(family=family, measured=measured),
    )


def _of_measurements(records: SuiteRecords, group: MeasurementGroup) -> Evidence:
    lesser = (f"reduced: {group.reduced}",) if group.reduced else ()
    return Evidence(
        name=describe(group),
        page=f"{records.suite.name}/{quote(f'table6-{group.slug}')}.md",
        weights="",
        lesser=lesser,
        figures=_MeasuredFigures(group=group),
    )


def _lesser(group: Group, protocol: str) -> tuple[str, ...]:
    """Reduced runs, and those of a changed recipe; `protocol` is its name but for the class_weighting."""
    reasons = [f"reduced: {'; '.join(group.reduced)}"] if group.reduced else []
    if not reasons and protocol != group.protocol.name:
        reasons = [f"changed recipe: {protocol.removeprefix(group.protocol.name + '+')}"]
    return tuple(reasons)


# -- figures ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _GroupFigures:
    """Scores on test by checkpoint."""

    group: Group

    def figure(self, subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        label = BEST if subject.row == PAPER_BEST else subject.row
        return _score([self.group], subject.network, label, quantity)


@dataclass(frozen=True, kw_only=True)
class _FamilyFigures:
    """Scores on test by class_weighting, at the iteration chosen on val; and bytes kept for the decoder."""

    family: Family
    measured: MeasurementGroup | None

    def figure(self, subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        if quantity == "decoder_storage":
            return _measured(self.measured, subject.network, storage_bytes)
        group = self.family.of(subject.row)
        return _score([group] if group else [], subject.network, BEST, quantity)


@dataclass(frozen=True, kw_only=True)
class _MeasuredFigures:
    """Inference memory (live tensors' peak, MiB), model size (MB) and times of batch 1 (ms)."""

    group: MeasurementGroup

    def figure(self, subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        if quantity in _PHASES:
            record = _record(self.group, subject.network)
            return record if isinstance(record, NotMeasured) else _time(record, _PHASES[quantity])
        if quantity == "inference_memory":
            return _measured(self.group, subject.network, lambda record: live_mib(record, "inference"))
        return _measured(
            self.group,
            subject.network,
            lambda record: shape_figure(record, lambda shapes: shapes.model_size_mb),
        )


def _score(groups: Sequence[Group], network: str, label: str, metric: Quantity) -> Sample | NotMeasured:
    runs = [run for group in groups for name in group.networks if title(name) == network for run in group.of(name)]
    found = sample(runs, "test", label, metric)
    if found is not None:
        return found
    failed = [record for group in groups for record in group.failed if title(record.spec.architecture) == network]
    return NotMeasured(reason=status(None, failed, ran=bool(runs)))


def _record(group: MeasurementGroup | None, network: str) -> MeasurementRecord | NotMeasured:
    records = group.records if group else ()
    found = (record for record in records if title(record.spec.architecture) == network)
    return next(found, NotMeasured(reason="not measured"))


def _measured(
    group: MeasurementGroup | None, network: str, read: Callable[[MeasurementRecord], Number]
) -> Sample | NotMeasured:
    record = _record(group, network)
    if isinstance(record, NotMeasured):
        return record
    found = read(record)
    if found.value is None:
        return NotMeasured(reason=found.reason or "not measured")
    return counted(found.value)


def _time(record: MeasurementRecord, phase: Phase) -> Sample | NotMeasured:
    found = timing(record, phase, TIME_BATCH)
    if found is None:
        return NotMeasured(reason=record.reason(phase, TIME_BATCH))
    time = found.time
    spread_ms = time.spread_percent / 100 * time.median_ms if len(time.rounds) > 1 else None
    return Sample(values=(time.median_ms,), noise="rounds", spread=spread_ms)
