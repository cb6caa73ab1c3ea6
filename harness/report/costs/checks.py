"""The method against runs that were really made: computed beside recorded time, and the size of records."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
from harness.records.measurement import MeasurementRecord
from harness.records.run import RunRecord, StoredRun
from harness.report.costs.counts import Counts, counts_of
from harness.report.costs.matrix import PlannedRun
from harness.report.costs.rates import Machine
from harness.report.costs.work import work_of
from harness.system.quantities import NotMeasured


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finished run: seconds that its work takes at the measured rates, and seconds that it took."""

    run_id: str
    architecture: str
    reduced: bool
    computed_train_s: float
    train_s: float
    computed_score_s: float
    score_s: float

    @property
    def train_ratio(self) -> float:
        """Recorded over computed time of training."""
        return self.train_s / self.computed_train_s

    @property
    def score_ratio(self) -> float:
        """Recorded over computed time of scoring."""
        return self.score_s / self.computed_score_s


@dataclass(frozen=True, kw_only=True)
class RecordSize:
    """Medians over finished runs.

    image_bytes: of the scores of an image, compressed. rest_bytes: of all else in a record's folder.
    """

    runs: int
    image_bytes: float
    rest_bytes: float


def checks(
    stored: Sequence[StoredRun], machines: Sequence[Machine], records: Sequence[MeasurementRecord]
) -> tuple[list[Check], list[str]]:
    """Every finished run for whose machine there are rates, and a line on each other one that was trained."""
    found, left_out = [], []
    for run in stored:
        record = run.record
        if record.status != "finished" or record.timing is None or record.timing.train_s == 0:
            continue  # not trained: failed, or made of another run
        made = _check(record, machines, records)
        if isinstance(made, NotMeasured):
            left_out.append(f"{record.run_id}: {made.reason}")
        else:
            found.append(made)
    return found, left_out


def record_size(stored: Sequence[StoredRun]) -> RecordSize | NotMeasured:
    """How large the records of finished runs are."""
    per_image, rest = [], []
    for run in stored:
        images = sum(evaluation.images for evaluation in run.record.evaluations)
        scores = run.folder / "scores.npz"
        if run.record.status == "finished" and images and scores.is_file():
            size = scores.stat().st_size
            per_image.append(size / images)
            whole = sum(path.stat().st_size for path in run.folder.iterdir() if path.is_file())
            rest.append(whole - size)
    if not per_image:
        return NotMeasured(reason="no finished run is on record")
    return RecordSize(runs=len(per_image), image_bytes=statistics.median(per_image), rest_bytes=statistics.median(rest))


def _check(record: RunRecord, machines: Sequence[Machine], records: Sequence[MeasurementRecord]) -> Check | NotMeasured:
    machine = _machine(record, machines)
    if isinstance(machine, NotMeasured):
        return machine
    run = planned(record)
    counts = counts_of(records, run.architecture, run.size, run.num_classes)
    if isinstance(counts, NotMeasured):
        return counts
    speed = machine.speed(run.architecture, run.size)
    if not speed.own:
        return NotMeasured(reason=f"{run.architecture} was not timed there")
    return _made(record, run, counts, speed.training_tflops, speed.forward_tflops)


def _made(record: RunRecord, run: PlannedRun, counts: Counts, training: float, forward: float) -> Check:
    assert record.timing is not None, "finished runs have one"
    trained = (record.trained_iterations or run.protocol.iterations) * run.protocol.batch_size
    return Check(
        run_id=record.run_id,
        architecture=run.architecture,
        reduced=bool(record.reduced),
        computed_train_s=2e9 * counts.training_gmacs * trained / (training * 1e12),
        train_s=record.timing.train_s,
        computed_score_s=2e9 * counts.gmacs * _scored(record, run) / (forward * 1e12),
        score_s=record.timing.evaluate_s,
    )


def _scored(record: RunRecord, run: PlannedRun) -> int:
    """Images through a forward pass alone, by the evaluations on record."""
    last = record.trained_iterations or run.protocol.iterations  # older records do not say
    points = [point for point in run.protocol.evaluation_points() if point <= last]
    at_points = len(points) * (work_of(run).refilled + run.splits["val"])
    tests = set(run.protocol.report_at.values())
    more = [e for e in record.evaluations if e.split != "val" or e.iteration not in (tests | {last})]
    return at_points + sum(evaluation.images for evaluation in more)


def _machine(record: RunRecord, machines: Sequence[Machine]) -> Machine | NotMeasured:
    spec = record.spec
    if spec.compiled != "no":
        return NotMeasured(reason="compiled, of which no rate was measured")
    here = [one for one in machines if one.device_name == record.device and one.precision == spec.precision]
    if not here:
        return NotMeasured(reason=f"no rates of {record.device} in {spec.precision}")
    threads = record.environment.get("torch_threads")
    same = [one for one in here if one.device == "cuda" or one.threads == threads]
    if not same:
        return NotMeasured(reason=f"made with {threads} threads, rates are of {here[0].threads}")
    return same[0]


def planned(record: RunRecord) -> PlannedRun:
    """A recorded run as the matrix would plan it."""
    spec, info = record.spec, datasets.info(record.spec.dataset)
    return PlannedRun(
        architecture=spec.architecture,
        dataset=spec.dataset,
        num_classes=spec.num_classes,
        size=spec.protocol.size or info.size,
        label_size=info.size,
        splits=info.splits,
        protocol=spec.protocol,
        seed=spec.seed,
    )
