"""The groups of a suite's records that the paper's claims are held against, with what their evidence lacks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

from harness.config.protocol import load_protocol
from harness.config.run_spec import EVALUATION_REVISION
from harness.metrics.significance import Sample, counted
from harness.paper.judges import Figures
from harness.paper.rules import Quantity, Subject, Table
from harness.paper.verdicts import EvidenceGroup
from harness.records.measurement import MeasurementRecord, Phase, Preset
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST, Scores, status
from harness.report.collect import SuiteRecords
from harness.report.comparability import fewer_epochs, part_of, share_of_images
from harness.report.costs import BY_NAME
from harness.report.grouping import Group
from harness.report.measurement_frame import storage_bytes, time_sample
from harness.report.resources import MeasurementGroup, Measurements
from harness.report.sections import sections
from harness.report.store import Run, title
from harness.system.quantities import NotMeasured
from harness.system.quantities import Quantity as Number

# Of VGG16; the paper's Tables 3 and 4 start from all of them.
ENCODER_CONVOLUTIONS = 13
_PHASES: dict[Quantity, Phase] = {"forward": "forward", "backward": "backward", "end_to_end": "end-to-end"}
_Read = Callable[[MeasurementRecord], Number]
_Rows = Mapping[str, tuple[Group | None, str]]  # row of the table -> group and label that fill it


def evidence(table: Table, records: SuiteRecords) -> list[EvidenceGroup]:
    """Every group of a suite that may be held against a claim of that table; none on drawn data or own."""
    if records.dataset.synthetic or records.dataset.own:
        return []
    if table == "table6":
        return _of_measurements(records.measurements)
    if table == "table1":
        found = []
        for section in (one for one in sections(records) if one.runs):
            rows: _Rows = {name: (section.of(name), BEST) for name in section.class_weightings}
            found.append(_of_runs(records, section.group, section.name, _scores(rows, section.costs)))
        return found
    found = []
    for group in (one for one in records.groups if records.suite.names_any(one.networks)):
        rows = {PAPER_BEST: (group, BEST)} | {label: (group, label) for label in group.fixed_labels}
        start = (share_of_images(records.dataset),) if table == "table3" else ()
        lacking = (*start, *_encoder(group.runs))
        found.append(_of_runs(records, group, group.protocol.title, _scores(rows, None), lacking))
    return found


def _of_runs(
    records: SuiteRecords, group: Group, protocol: str, figures: Figures, lacking: tuple[str, ...] = ()
) -> EvidenceGroup:
    """`protocol` is the group's name but for what the table's rows vary. What `lacking` names does not reduce it."""
    variant, revision = group.spec.dataset_variant, group.spec.evaluation_revision
    if revision != EVALUATION_REVISION:
        lacking = (*lacking, f"revision {revision} of evaluation, now {EVALUATION_REVISION}")
    if variant != records.dataset.name:
        lacking = (*lacking, f"data as {variant}")
    expected = records.suite.class_weightings or (load_protocol(records.suite.protocol).class_weighting,)
    if group.protocol.class_weighting not in expected:
        lacking = (*lacking, f"class weights: {group.protocol.class_weighting}")
    lacking = (*lacking, *fewer_epochs(group.protocol, records.dataset, records.suite.table, group.reduced))
    reduced = [*group.reduced]
    if protocol != group.protocol.name and not reduced:
        reduced.append(f"changed recipe: {protocol.removeprefix(group.protocol.name + '+')}")
    if part_of(records.dataset):
        reduced.append(share_of_images(records.dataset))
    weights = "He et al." if group.weights.kind == "none" else group.weights.title
    return EvidenceGroup(
        name=f"{protocol} on {variant}, {group.computed}; initial weights: {weights}",
        limitations=(*reduced, *lacking),
        full=not reduced,
        figures=figures,
    )


def _encoder(runs: Iterable[Run]) -> tuple[str, ...]:
    """How much of VGG16's convolutions the initial weights set, where not all; of the run with the fewest."""
    fewest = min(sum(name.startswith("conv") for name in run.record.layers_set) for run in runs)
    if fewest >= ENCODER_CONVOLUTIONS:
        return ()
    kind = "half-random encoder" if fewest else "random encoder"
    return (f"{kind}: {fewest} of {ENCODER_CONVOLUTIONS} convolutions pretrained",)


def _of_measurements(measurements: Measurements) -> list[EvidenceGroup]:
    """One of what is counted from shapes, the same on every device, and one a device of what is measured there."""
    plain = [group for group in measurements.groups if group.plain]
    if not plain:
        return []

    def best(group: MeasurementGroup) -> tuple[bool, bool, int, int]:
        # counted on the CPU's code path, on which more threads hold more buffers
        shapes = sum(record.shapes is not None for record in group.records)
        return bool(group.reduced), group.first.spec.precision != "fp32", -shapes, group.first.spec.threads

    first = min(plain, key=best)
    weights: dict[Quantity, _Read] = {"weights": BY_NAME["inference_weights_mib"].read}
    read = weights | {
        "inference_memory": BY_NAME["inference_live_mib"].read,
        "model_size": BY_NAME["model_size_mb"].read,
    }
    size = " x ".join(map(str, first.size))
    found = [_of_device(first, f"counted from shapes, input {size}", read, timed=False)]
    for group in _one_a_device(plain):
        by_nvml: dict[Quantity, _Read] = dict(weights)
        if group.first.spec.device == "cuda":
            by_nvml["inference_memory"] = BY_NAME["inference_nvml_mib"].read
        found.append(_of_device(group, group.heading, by_nvml, timed=True))
    return found


def _one_a_device(groups: Sequence[MeasurementGroup]) -> list[MeasurementGroup]:
    """Of whole measurements of a device the most thorough in fp32: measured twice it is no second witness."""

    def best(group: MeasurementGroup) -> tuple[bool, int, int]:
        spec = group.first.spec
        return spec.precision != "fp32", get_args(Preset).index(spec.preset), -spec.threads

    whole: dict[str, MeasurementGroup] = {}
    for group in sorted(groups, key=best):
        if not group.reduced:
            whole.setdefault(group.first.device_slug, group)
    return [group for group in groups if group.reduced or group in whole.values()]


def _of_device(group: MeasurementGroup, name: str, read: dict[Quantity, _Read], *, timed: bool) -> EvidenceGroup:
    def figure(subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        if timed and quantity in _PHASES:
            record = _record(group, subject.network)
            return record if isinstance(record, NotMeasured) else time_sample(record, _PHASES[quantity])
        if quantity not in read:
            return NotMeasured(reason="not of this kind")
        return _measured(group, subject.network, read[quantity])

    limits = (group.reduced,) if group.reduced else ()
    return EvidenceGroup(name=name, limitations=limits, full=not limits, figures=figure)


# -- figures ------------------------------------------------------------------------------------------------


def _scores(rows: _Rows, measured: MeasurementGroup | None) -> Figures:
    """Scores on test by row of the table, each a group and a label; and what is kept for the decoder."""
    storage: dict[Quantity, _Read] = {"decoder_storage": _maps, "decoder_bytes": storage_bytes}

    def figure(subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        if quantity in storage:
            return _measured(measured, subject.network, storage[quantity])
        group, label = rows.get(subject.row, (None, ""))
        if group is None:
            return NotMeasured(reason="not run")
        runs = [run for name in group.networks if title(name) == subject.network for run in group.of(name)]
        failed = [record for record in group.failed if title(record.spec.network) == subject.network]
        scores = Scores.of(runs, "test", label)
        found = scores.sample(quantity) if scores else None
        return found or NotMeasured(reason=status(None, failed, ran=bool(runs)))

    return figure


def _maps(record: MeasurementRecord) -> Number:
    """Maps kept for the decoder at the first pooled resolution as the paper counts them.

    A float32 channel is one map, and so are the indices of a pooling, whatever their number of channels.
    """
    kept = storage_bytes(record)
    if kept.value is None or record.shapes is None:
        return kept
    # indices take 8 bytes in one storage and a quarter in the other; float maps are the same in both
    stored = record.shapes.decoder_storage
    indices = (stored.int64_bytes[0] - stored.two_bit_bytes[0]) / (8 - 1 / 4)
    height, width = (-(-side // 2) for side in record.spec.size)
    return Number(value=round((kept.value - indices / 4) / (4 * height * width)) + (indices > 0))


def _record(group: MeasurementGroup | None, network: str) -> MeasurementRecord | NotMeasured:
    records = group.records if group else ()
    found = (record for record in records if title(record.spec.architecture) == network)
    return next(found, NotMeasured(reason="not measured"))


def _measured(group: MeasurementGroup | None, network: str, read: _Read) -> Sample | NotMeasured:
    record = _record(group, network)
    if isinstance(record, NotMeasured):
        return record
    found = read(record)
    return NotMeasured(reason=found.reason or "not measured") if found.value is None else counted(found.value)
