"""What is measured when: cells in processes of their own, rounds in turns between architectures.

Cells of one phase and batch are timed together: each architecture has its process, and the rounds go round
between them in shuffled order, so that a slow minute of the machine meets all alike. While one computes the
others wait. With preset `full` each round is a fresh process.
"""

import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.profiling.assembly import cell_of
from harness.profiling.presets import PLANS
from harness.profiling.process import CellWorker
from harness.profiling.survey import Survey, survey
from harness.profiling.work import CONCLUDE, PREPARE, ROUND, Found, Task
from harness.records.measurement import (
    INFERENCE_BATCH,
    PAPER_SIZE,
    SEED,
    STEP_BATCH,
    THROUGHPUT_BATCH,
    TIME_BATCH,
    TIMED,
    TRAINING,
    TRAINING_BATCH,
    CellKey,
    Failure,
    MeasurementRecord,
    MeasureSpec,
    Phase,
    joined,
    measurement_path,
    read_record,
    save_measurement,
    settings,
)
from harness.system.environment import device_name, device_slug, environment

AT_ONCE = 8  # processes that wait beside each other, a few hundred MB each


@dataclass(frozen=True, kw_only=True)
class Request:
    """Cells wanted of one record."""

    spec: MeasureSpec
    keys: tuple[CellKey, ...]


@dataclass(kw_only=True)
class Tally:
    """What became of the cells: numbers, and the failed ones by name."""

    done: int = 0
    before: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Cells that are timed together: one phase and batch, and all else but the architecture alike."""

    key: CellKey
    specs: tuple[MeasureSpec, ...]


def cell_keys(
    spec: MeasureSpec,
    phases: Sequence[Phase] = (),
    step_batch: int = STEP_BATCH,
    most: int | None = None,
) -> tuple[CellKey, ...]:
    """The cells of a record that go with its preset and options.

    Preset `quick` leaves out what takes long. What follows from shapes alone is the same with each option and
    stands in the plain record; folded batch norm exists in inference only.

    Args:
        spec: of the record.
        phases: only these; empty: all.
        step_batch: images of a training step.
        most: only times at a batch of at most this; none: all.
    """
    batches: dict[Phase, tuple[int, ...]] = {
        "shapes": (1,),
        "inference-memory": (INFERENCE_BATCH,),
        "training-memory": (TRAINING_BATCH,),
        "forward": (TIME_BATCH, THROUGHPUT_BATCH),
        "end-to-end": (TIME_BATCH,),
        "backward": (TIME_BATCH,),
        "training-step": (step_batch,),
    }
    if spec.preset == "quick" and not phases:
        batches |= {"forward": (TIME_BATCH,), "end-to-end": (), "training-step": ()}
    if spec.options:
        batches["shapes"] = ()
    if "folded" in spec.options:
        batches |= dict.fromkeys(TRAINING, ())
    return tuple(
        CellKey(phase=phase, batch_size=batch)
        for phase, found in batches.items()
        for batch in found
        if (not phases or phase in phases) and (most is None or batch <= most or phase not in TIMED)
    )


def measure_cells(
    requests: Iterable[Request],
    results: Path,
    *,
    again: bool = False,
    on_plan: Callable[[int], None] = lambda turns: None,
    on_turn: Callable[[str], None] = lambda what: None,
) -> Tally:
    """Measure what there is no cell of yet, and save each cell as soon as it is whole.

    Args:
        requests: what to measure.
        results: the results folder.
        again: measure even what was measured before.
        on_plan: called once with the number of turns that there will be.
        on_turn: called with the name of each as it begins.

    Raises:
        UserError: bad input, or a folder that can't be written.
        KeyboardInterrupt: Ctrl-C; the processes have ended, whole cells are saved.
    """
    tally, groups = Tally(), _groups(requests, results, again)
    wanted = sum(len(group.specs) for group in groups)
    tally.before = sum(len(request.keys) for request in requests) - wanted
    on_plan(sum(len(group.specs) * (PLANS[group.specs[0].preset].rounds + 1) for group in groups))
    with tempfile.TemporaryDirectory(prefix="segnet-harness-") as folder:
        found = survey(groups[0].specs[0]) if groups else None
        for number, group in enumerate(groups):
            assert found is not None, "there is a group"
            visit = _Visit(group, found, Path(folder) / str(number), on_turn)
            for spec, founds, failure in visit.execute():
                _save(results, spec, group.key, founds, failure)
                if failure and failure.kind != "impossible":
                    tally.failed.append(f"{spec.architecture}, {group.key}: {failure.message}")
                else:
                    tally.done += 1
    return tally


def _groups(requests: Iterable[Request], results: Path, again: bool) -> list[_Group]:
    members: dict[tuple[CellKey, tuple[object, ...]], list[MeasureSpec]] = {}
    for request in requests:
        done = set() if again else _finished(results, request.spec)
        for key in request.keys:
            if key in done:
                continue
            spec = request.spec
            alike = (spec.size, spec.precision, spec.options, spec.preset, spec.device, spec.threads)
            members.setdefault((key, alike), []).append(spec)
    groups = []
    for (key, _), specs in members.items():
        for start in range(0, len(specs), AT_ONCE):
            groups.append(_Group(key=key, specs=tuple(specs[start : start + AT_ONCE])))
    return groups


def _finished(results: Path, spec: MeasureSpec) -> set[CellKey]:
    record = _stored(results, spec)
    if record is None:
        return set()
    return {cell.key for cell in record.cells if not cell.failure or cell.failure.kind == "impossible"}


def _stored(results: Path, spec: MeasureSpec) -> MeasurementRecord | None:
    path = measurement_path(results, spec)
    return read_record(path) if path.exists() else None


class _Visit:
    """A group on its way through its processes."""

    def __init__(self, group: _Group, found: Survey, folder: Path, on_turn: Callable[[str], None]) -> None:
        self._group = group
        self._survey = found
        self._folder = folder
        self._on_turn = on_turn
        self._order = random.Random(SEED)
        self._started = 0

    def execute(self) -> Iterable[tuple[MeasureSpec, list[Found], Failure | None]]:
        """The group's cells, each as soon as it is whole."""
        first = self._group.specs[0]
        if self._group.key.phase not in TIMED:
            yield from self._without_rounds()
        elif PLANS[first.preset].fresh:
            yield from self._fresh_rounds(PLANS[first.preset].rounds)
        else:
            yield from self._waiting_rounds(PLANS[first.preset].rounds)

    def _without_rounds(self) -> Iterable[tuple[MeasureSpec, list[Found], Failure | None]]:
        all_specs = self._group.specs
        for specs in [all_specs] if self._beside else [(spec,) for spec in all_specs]:
            with ExitStack() as stack:
                for spec, worker in self._loaded(stack, specs).items():
                    self._say(spec, "measuring")
                    worker.turn(PREPARE)
                    yield self._result(spec, worker)

    def _fresh_rounds(self, rounds: int) -> Iterable[tuple[MeasureSpec, list[Found], Failure | None]]:
        founds: dict[MeasureSpec, list[Found]] = {spec: [] for spec in self._group.specs}
        failed: dict[MeasureSpec, Failure] = {}
        for number in range(rounds):
            for spec in self._shuffled():
                if spec in failed:
                    continue
                self._say(spec, f"round {number + 1} of {rounds}")
                with self._worker(spec) as worker:
                    taken = worker.ready() and worker.turn(PREPARE) and worker.turn(ROUND)
                    taken and number + 1 == rounds and worker.turn(CONCLUDE)
                    _, found, failure = self._result(spec, worker)
                founds[spec] += found
                if failure:
                    failed[spec] = failure
        for spec in self._group.specs:
            yield spec, founds[spec], failed.get(spec)

    def _waiting_rounds(self, rounds: int) -> Iterable[tuple[MeasureSpec, list[Found], Failure | None]]:
        with ExitStack() as stack:
            workers = self._loaded(stack, self._group.specs)
            for spec, worker in workers.items():
                self._say(spec, "warming up")
                worker.turn(PREPARE)
            for number in range(rounds):
                for spec in self._shuffled():
                    self._say(spec, f"round {number + 1} of {rounds}")
                    workers[spec].turn(ROUND)
            for spec, worker in workers.items():
                worker.turn(CONCLUDE)
                yield self._result(spec, worker)

    @property
    def _beside(self) -> bool:
        """Whether processes load beside each other, which is what takes longest of a short measurement.

        Not on a CPU: to its load average, by which others are noticed, they would be others.
        """
        return self._group.specs[0].device == "cuda"

    def _loaded(self, stack: ExitStack, specs: Sequence[MeasureSpec]) -> dict[MeasureSpec, CellWorker]:
        """The processes, each loaded or ended: to one that has ended, every turn is false."""
        workers = {}
        for spec in specs:
            workers[spec] = stack.enter_context(self._worker(spec))
            if not self._beside:
                workers[spec].ready()
        if self._beside:
            for worker in workers.values():
                worker.ready()
        return workers

    def _shuffled(self) -> list[MeasureSpec]:
        specs = list(self._group.specs)
        self._order.shuffle(specs)
        return specs

    def _worker(self, spec: MeasureSpec) -> CellWorker:
        self._started += 1
        task = Task(spec=spec, key=self._group.key, idle_w=self._survey.idle_w, others=self._survey.others)
        return CellWorker(task, self._folder / str(self._started))

    @staticmethod
    def _result(spec: MeasureSpec, worker: CellWorker) -> tuple[MeasureSpec, list[Found], Failure | None]:
        found, failure = worker.outcome()
        return spec, [found] if found else [], failure

    def _say(self, spec: MeasureSpec, what: str) -> None:
        options = f" {' '.join(spec.options)}" if spec.options else ""
        size = f"{spec.size[0]}x{spec.size[1]}"
        self._on_turn(f"{spec.architecture} {size} {spec.precision}{options}, {self._group.key}: {what}")


def _save(results: Path, spec: MeasureSpec, key: CellKey, founds: Sequence[Found], failure: Failure | None) -> None:
    """Put a cell into its record; a failed one never takes the place of one with figures."""
    stored = _stored(results, spec)
    before = stored.cell(key.phase, key.batch_size) if stored else None
    if failure and before and not before.failure:
        return
    first = founds[0] if founds else None
    new = MeasurementRecord(
        spec=spec,
        device_name=first.device_name if first else device_name(spec.device),
        device_slug=first.device_slug if first else device_slug(spec.device),
        reduced=spec.size != PAPER_SIZE,
        cells=(cell_of(key, founds, failure, spec.preset),),
        environments=(first.environment if first else environment(),),
        settings=settings(spec),
    )
    save_measurement(results, joined(stored, new))
