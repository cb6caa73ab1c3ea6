"""The plan: every run of the matrix with its work, and how long it takes on each kind of device."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.records.measurement import MeasurementRecord, load_measurements
from harness.report.costs.counts import Counts, counts_of, current
from harness.report.costs.matrix import Matrix, Part, PlannedRun, parts
from harness.report.costs.rates import Machine, machines
from harness.report.costs.work import Work, scoring_flop, training_flop, work_of
from harness.system.quantities import NotMeasured


@dataclass(frozen=True, kw_only=True)
class CostedRun:
    """A run with all that its cost follows from."""

    run: PlannedRun
    work: Work
    counts: Counts

    @property
    def flop(self) -> float:
        """Floating-point operations of training and scoring."""
        return training_flop(self.work, self.counts) + scoring_flop(self.work, self.counts)

    def duration_s(self, machine: Machine) -> float:
        """On one device, undisturbed and without its start."""
        speed = machine.speed(self.run.architecture, self.run.size)
        return (
            training_flop(self.work, self.counts) / speed.training_tflops
            + scoring_flop(self.work, self.counts) / speed.forward_tflops
        ) / 1e12


@dataclass(frozen=True, kw_only=True)
class CostedPart:
    """A part with its runs' costs; `uncounted` says what has none, and which command counts it."""

    part: Part
    runs: tuple[CostedRun, ...]
    uncounted: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every run of the part is counted, and there is one."""
        return bool(self.runs) and not self.uncounted


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a page is made of.

    devices: numbers of devices to plan for.
    records: of measuring, of present revisions.
    """

    matrix: Matrix
    parts: tuple[CostedPart, ...]
    machines: tuple[Machine, ...]
    devices: tuple[int, ...]
    records: tuple[MeasurementRecord, ...]
    unreadable: tuple[str, ...]

    @property
    def own(self) -> tuple[CostedRun, ...]:
        """The counted runs of every suite with its own protocol."""
        return tuple(run for part in self.parts if not part.part.beside for run in part.runs)

    @property
    def all(self) -> tuple[CostedRun, ...]:
        """All counted runs, those with the protocols that a report shows beside the suite's own included."""
        return tuple(run for part in self.parts for run in part.runs)


def make_plan(matrix: Matrix, results: Path, devices: Sequence[int]) -> Plan:
    """Count the matrix by the records of a results folder.

    Args:
        matrix: what to plan.
        results: the results folder.
        devices: numbers of devices to plan for.
    """
    read, unreadable = load_measurements(results)
    records = current(read)
    return Plan(
        matrix=matrix,
        parts=tuple(costed(part, records) for part in parts(matrix)),
        machines=tuple(machines(records, matrix.assumed.gpu_tflops)),
        devices=tuple(devices),
        records=tuple(records),
        unreadable=tuple(f"{path.parent.name}/{path.name}" for path, _ in unreadable),
    )


def costed(part: Part, records: Sequence[MeasurementRecord]) -> CostedPart:
    """A part with the work of its runs; networks without counts are named."""
    runs: list[CostedRun] = []
    uncounted: dict[str, list[str]] = {}
    for run in part.runs:
        counts = counts_of(records, run.architecture, run.size, run.num_classes)
        if isinstance(counts, NotMeasured):
            shape = f"--size {run.size[0]}x{run.size[1]} --classes {run.num_classes}"
            uncounted.setdefault(shape, []).append(run.architecture)
        else:
            runs.append(CostedRun(run=run, work=work_of(run), counts=counts))
    reasons = [_how_to_count(list(dict.fromkeys(names)), shape) for shape, names in uncounted.items()]
    return CostedPart(part=part, runs=tuple(runs), uncounted=(part.missing,) if part.missing else tuple(reasons))


def _how_to_count(names: Sequence[str], shape: str) -> str:
    command = f"python -m harness measure {' '.join(names)} {shape} --phase shapes"
    return f"{', '.join(names)}: not counted yet; `{command}` does it"


def hours(runs: Iterable[CostedRun], machine: Machine) -> float:
    """Device hours of computing, without starts and losses."""
    return sum(run.duration_s(machine) for run in runs) / 3600
