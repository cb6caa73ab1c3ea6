"""What is measured when: each measurement in processes of its own, rounds interleaved between architectures.

Those of one phase and batch are timed together: each architecture has its process, and the rounds go round
between them in shuffled order, so that a slow minute of the machine meets all alike. While one computes the
others wait. With preset `full` each round is a fresh process.
"""

import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.profiling.energy import BaselinePower, baseline_power
from harness.profiling.presets import PLANS
from harness.profiling.process import MeasurementWorker
from harness.profiling.work import FINALIZE, PREPARE, ROUND, Task, WorkerResult, measurement_of
from harness.records.measurement import (
    PAPER_SIZE,
    SEED,
    TIMED,
    Failure,
    MeasurementKey,
    MeasurementRecord,
    MeasureSpec,
    joined,
    measurement_path,
    read_record,
    save_measurement,
    settings,
)
from harness.system.environment import device_name, device_slug, environment
from harness.system.errors import UserError

AT_ONCE = 8  # processes that wait beside each other, a few hundred MB each


@dataclass(frozen=True, kw_only=True)
class Request:
    """Measurements wanted of one record."""

    spec: MeasureSpec
    keys: tuple[MeasurementKey, ...]


@dataclass(kw_only=True)
class Totals:
    """What became of the measurements: numbers, and the failed ones by name."""

    done: int = 0
    before: int = 0
    not_begun: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Measurements that are timed together: one phase and batch, and all else but the architecture alike."""

    key: MeasurementKey
    specs: tuple[MeasureSpec, ...]


def run_measurements(
    requests: Iterable[Request],
    results: Path,
    *,
    force: bool = False,
    deadline_s: float | None = None,
    on_plan: Callable[[int], None] = lambda steps: None,
    on_step: Callable[[str], None] = lambda what: None,
) -> Totals:
    """Measure what was not measured yet, and save each measurement as soon as it is whole.

    Args:
        requests: what to measure.
        results: the results folder.
        force: measure even what was measured before.
        deadline_s: by time.monotonic; measurements that may take longer, as the longest so far did, are not begun.
        on_plan: called once with the number of steps that there will be.
        on_step: called with the name of each as it begins.

    Raises:
        UserError: bad input, or a folder that can't be written.
        KeyboardInterrupt: Ctrl-C; the processes have ended, whole measurements are saved.
    """
    totals, groups = Totals(), _groups(requests, results, force)
    wanted = sum(len(group.specs) for group in groups)
    totals.before = sum(len(request.keys) for request in requests) - wanted
    on_plan(sum(len(group.specs) * (PLANS[group.specs[0].preset].rounds + 1) for group in groups))
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        power = baseline_power(groups[0].specs[0]) if groups else None
        longest_s = 0.0
        for number, group in enumerate(groups):
            assert power is not None, "there is a group"
            began_s = time.monotonic()
            if deadline_s is not None and began_s + longest_s >= deadline_s:
                totals.not_begun = sum(len(left.specs) for left in groups[number:])
                break
            visit = _Visit(group, power, Path(folder) / str(number), on_step)
            for spec, parts, failure in visit.execute():
                _save(results, spec, group.key, parts, failure)
                if failure and failure.kind != "impossible":
                    totals.failed.append(f"{spec.architecture}, {group.key}: {failure.message}")
                else:
                    totals.done += 1
            longest_s = max(longest_s, time.monotonic() - began_s)
    return totals


def _groups(requests: Iterable[Request], results: Path, force: bool) -> list[_Group]:
    members: dict[tuple[MeasurementKey, tuple[object, ...]], list[MeasureSpec]] = {}
    for request in requests:
        spec = as_kept(results, request.spec)
        done = set() if force else _finished(results, spec)
        for key in request.keys:
            if key in done:
                continue
            alike = (spec.size, spec.precision, spec.options, spec.preset, spec.device, spec.threads)
            members.setdefault((key, alike), []).append(spec)
    groups = []
    # on a CPU times first: to a load average, processes that load at the same time are others for a minute
    ordered = sorted(members.items(), key=lambda found: found[1][0].device == "cpu" and found[0][0].phase not in TIMED)
    for (key, _), specs in ordered:
        for start in range(0, len(specs), AT_ONCE):
            groups.append(_Group(key=key, specs=tuple(specs[start : start + AT_ONCE])))
    return groups


def as_kept(results: Path, spec: MeasureSpec) -> MeasureSpec:
    """The spec, on a GPU with the threads of the record that is there: they are the host's, and measure nothing.

    Raises:
        UserError: on a CPU the record that is there is of another number of threads.
    """
    stored = _stored(results, spec)
    if stored is None or stored.spec.threads == spec.threads:
        return spec
    if spec.device == "cuda":
        return spec.model_copy(update={"threads": stored.spec.threads})
    raise UserError(
        f"{measurement_path(results, spec)}: {spec.architecture} was measured on {stored.spec.threads} threads: "
        f"choose --threads {stored.spec.threads}, or another folder of results"
    )


def _finished(results: Path, spec: MeasureSpec) -> set[MeasurementKey]:
    record = _stored(results, spec)
    if record is None or record.spec != spec:  # an earlier revision's is measured anew
        return set()
    return {
        cell.key
        for cell in record.cells
        if not record.outdated(cell) and (not cell.failure or cell.failure.kind == "impossible")
    }


def _stored(results: Path, spec: MeasureSpec) -> MeasurementRecord | None:
    path = measurement_path(results, spec)
    return read_record(path) if path.exists() else None


# A measurement: of what, what its processes left, and why it has no figures.
_Made = tuple[MeasureSpec, list[WorkerResult], Failure | None]


class _Visit:
    """A group on its way through its processes."""

    def __init__(self, group: _Group, power: BaselinePower, folder: Path, on_step: Callable[[str], None]) -> None:
        self._group = group
        self._power = power
        self._folder = folder
        self._on_step = on_step
        self._order = random.Random(SEED)
        self._started = 0

    def execute(self) -> Iterable[_Made]:
        """The group's measurements, each as soon as it is whole."""
        first = self._group.specs[0]
        if self._group.key.phase not in TIMED:
            yield from self._without_rounds()
        elif PLANS[first.preset].fresh:
            yield from self._fresh_rounds(PLANS[first.preset].rounds)
        else:
            yield from self._waiting_rounds(PLANS[first.preset].rounds)

    def _without_rounds(self) -> Iterable[_Made]:
        counted = self._group.key.phase == "shapes"  # which processes beside each other don't change
        with ExitStack() as stack:
            workers = self._loaded(stack)
            for worker in workers.values() if counted else ():
                worker.begin(PREPARE)
            for spec, worker in workers.items():
                self._say(spec, "measuring")
                worker.finish() if counted else worker.step(PREPARE)
                yield self._result(spec, worker)

    def _fresh_rounds(self, rounds: int) -> Iterable[_Made]:
        parts: dict[MeasureSpec, list[WorkerResult]] = {spec: [] for spec in self._group.specs}
        failed: dict[MeasureSpec, Failure] = {}
        for number in range(rounds):
            for spec in self._shuffled():
                if spec in failed:
                    continue
                self._say(spec, f"round {number + 1} of {rounds}")
                with self._worker(spec) as worker:
                    taken = worker.ready() and worker.step(PREPARE) and worker.step(ROUND)
                    taken and number + 1 == rounds and worker.step(FINALIZE)
                    _, new, failure = self._result(spec, worker)
                parts[spec] += new
                if failure:
                    failed[spec] = failure
        for spec in self._group.specs:
            yield spec, parts[spec], failed.get(spec)

    def _waiting_rounds(self, rounds: int) -> Iterable[_Made]:
        with ExitStack() as stack:
            workers = self._loaded(stack)
            for spec, worker in workers.items():
                self._say(spec, "warming up")
                worker.step(PREPARE)
            for number in range(rounds):
                for spec in self._shuffled():
                    self._say(spec, f"round {number + 1} of {rounds}")
                    workers[spec].step(ROUND)
            for spec, worker in workers.items():
                worker.step(FINALIZE)
                yield self._result(spec, worker)

    def _loaded(self, stack: ExitStack) -> dict[MeasureSpec, MeasurementWorker]:
        """The processes, each loaded or ended: to one that has ended, every step is false.

        They load at the same time, which is what takes longest of a short measurement; where times are taken on a
        CPU no more than it has threads: to its load average, by which others are noticed, further ones would be others.
        """
        specs, workers = self._group.specs, dict[MeasureSpec, MeasurementWorker]()
        on_cpu = specs[0].device == "cpu" and self._group.key.phase in TIMED
        at_once = specs[0].threads if on_cpu else AT_ONCE
        for start in range(0, len(specs), at_once):
            loading = {spec: stack.enter_context(self._worker(spec)) for spec in specs[start : start + at_once]}
            for worker in loading.values():
                worker.ready()
            workers |= loading
        return workers

    def _shuffled(self) -> list[MeasureSpec]:
        specs = list(self._group.specs)
        self._order.shuffle(specs)
        return specs

    def _worker(self, spec: MeasureSpec) -> MeasurementWorker:
        self._started += 1
        task = Task(spec=spec, key=self._group.key, idle_w=self._power.idle_w, others=self._power.others)
        return MeasurementWorker(task, self._folder / str(self._started))

    @staticmethod
    def _result(spec: MeasureSpec, worker: MeasurementWorker) -> _Made:
        result, failure = worker.outcome()
        return spec, [result] if result else [], failure

    def _say(self, spec: MeasureSpec, what: str) -> None:
        options = f" {' '.join(spec.options)}" if spec.options else ""
        size = f"{spec.size[0]}x{spec.size[1]}"
        self._on_step(f"{spec.architecture} {size} {spec.precision}{options}, {self._group.key}: {what}")


def _save(
    results: Path, spec: MeasureSpec, key: MeasurementKey, parts: Sequence[WorkerResult], failure: Failure | None
) -> None:
    """Put a measurement into its record; a failed one never takes the place of one with figures."""
    stored = _stored(results, spec)
    if stored is not None and stored.spec != spec:
        stored = None  # of an earlier revision, of which reports show nothing
    before = stored.cell(key.phase, key.batch_size) if stored else None
    if failure and before and not before.failure:
        return
    first = parts[0] if parts else None
    new = MeasurementRecord(
        spec=spec,
        device_name=first.device_name if first else device_name(spec.device),
        device_slug=first.device_slug if first else device_slug(spec.device),
        reduced=spec.size != PAPER_SIZE,
        cells=(measurement_of(key, parts, failure, spec.preset),),
        environments=(first.environment if first else environment(),),
        settings=settings(spec),
    )
    save_measurement(results, joined(stored, new))
