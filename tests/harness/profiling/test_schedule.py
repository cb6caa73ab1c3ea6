"""Scheduling with stand-ins for the processes: who takes which turn when, and what is saved of it."""

from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest

from harness.profiling import scheduler as schedule
from harness.profiling.scheduler import Request, cell_keys, measure_cells
from harness.profiling.survey import Survey
from harness.profiling.work import CONCLUDE, PREPARE, ROUND, Found, RoundSamples, Task
from harness.records.measurement import (
    CellKey,
    Failure,
    MeasurementRecord,
    MeasureSpec,
    measurement_path,
    read_record,
)
from harness.system.errors import UserError
from harness.system.quantities import Quantity

FORWARD = CellKey(phase="forward", batch_size=1)
TRAINING_MEMORY = CellKey(phase="training-memory", batch_size=4)


def make_spec(architecture: str, **changes: Any) -> MeasureSpec:
    values = {"architecture_revision": 1, "size": (32, 32), "device": "cpu", "preset": "cpu", "threads": 1}
    return MeasureSpec.model_validate({"architecture": architecture, **values, **changes})


def make_found(**changes: Any) -> Found:
    values: dict[str, Any] = {
        "device_name": "a CPU",
        "device_slug": "cpu-a",
        "environment": {"torch": "2.11"},
        "measured_at": "2026-01-02T03:04:05+00:00",
        "wall_s": 1.0,
        "load_average_before": Quantity(value=0.1),
        "load_average_after": Quantity(value=1.0),
    }
    return Found.model_validate({**values, **changes})


class StandIn:
    """A worker that computes nothing and notes its turns; `troubles` says what befalls an architecture."""

    turns: ClassVar[list[str]] = []
    troubles: ClassVar[dict[str, Failure | Exception]] = {}

    def __init__(self, task: Task, folder: Path) -> None:
        self.task = task
        self._rounds = 0

    def __enter__(self) -> Self:
        self._note("start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._note("exit")

    def ready(self) -> bool:
        return self.task.spec.architecture not in self.troubles

    def turn(self, what: str) -> bool:
        self._note(what)
        self._rounds += what == ROUND
        return self.task.spec.architecture not in self.troubles

    def outcome(self) -> tuple[Found | None, Failure | None]:
        trouble = self.troubles.get(self.task.spec.architecture)
        if isinstance(trouble, Failure):
            return None, trouble
        if trouble:
            raise trouble
        samples = RoundSamples(samples_ms=(10.0, 11.0, 12.0) * 4, uncovered_share=0.0)
        return make_found(rounds=(samples,) * self._rounds, warmup_n=3), None

    def _note(self, what: str) -> None:
        self.turns.append(f"{self.task.spec.architecture} {what}")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "CellWorker", StandIn)
    monkeypatch.setattr(schedule, "device_slug", lambda device: "cpu-a")
    monkeypatch.setattr(schedule, "device_name", lambda device: "a CPU")
    monkeypatch.setattr(schedule, "measurement_path", lambda r, spec: measurement_path(r, spec, "cpu-a"))
    monkeypatch.setattr(StandIn, "turns", [])
    monkeypatch.setattr(StandIn, "troubles", {})


def requests(*names: str, keys: tuple[CellKey, ...] = (FORWARD,), **changes: Any) -> list[Request]:
    return [Request(spec=make_spec(name, **changes), keys=keys) for name in names]


def stored(results: Path, name: str, **changes: Any) -> MeasurementRecord:
    return read_record(measurement_path(results, make_spec(name, **changes), "cpu-a"))


def test_rounds_go_round_between_architectures(tmp_path: Path) -> None:
    tally = measure_cells(requests("a", "b", "c"), tmp_path)
    assert (tally.done, tally.before, tally.failed) == (3, 0, [])
    turns = StandIn.turns
    assert turns[:3] == ["a start", "b start", "c start"]
    assert turns[3:6] == ["a prepare", "b prepare", "c prepare"], "all have loaded before one warms up"
    rounds = [turn for turn in turns if turn.endswith(ROUND)]
    assert turns[6:15] == rounds
    for start in (0, 3, 6):  # each round meets each of them once, in whatever order
        assert sorted(rounds[start : start + 3]) == ["a round", "b round", "c round"]
    assert len({tuple(rounds[start : start + 3]) for start in (0, 3, 6)}) > 1, "always the same order"
    assert turns[15:18] == ["a conclude", "b conclude", "c conclude"]
    cell = stored(tmp_path, "b").cell("forward", 1)
    assert cell is not None and cell.timing is not None
    assert (cell.timing.time.n, cell.timing.time.median_ms, cell.timing.processes) == (36, 11.0, 1)


@pytest.mark.parametrize(
    ("device", "begun"),
    [
        ("cuda", ["a start", "b start", "a prepare", "b prepare", "b exit", "a exit"]),
        ("cpu", ["a start", "a prepare", "a exit", "b start", "b prepare", "b exit"]),
    ],
)
def test_processes_start_beside_each_other_where_that_is_no_load(
    device: str, begun: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "survey", lambda spec: Survey())
    monkeypatch.setattr(schedule, "_save", lambda *found: None)  # the stand-in finds no memory
    memory = CellKey(phase="training-memory", batch_size=4)
    measure_cells(requests("a", "b", keys=(memory,), device=device, preset="lease"), tmp_path)
    assert StandIn.turns == begun


def test_full_effort_takes_a_fresh_process_for_each_round(tmp_path: Path) -> None:
    measure_cells(requests("a", "b", preset="full"), tmp_path)
    turns = StandIn.turns
    assert turns.count("a start") == turns.count("a exit") == turns.count("a round") == 5
    assert turns.count("a conclude") == 1
    running = 0
    for turn in turns:
        running += turn.endswith("start") - turn.endswith("exit")
        assert running <= 1, "two processes beside each other"
    cell = stored(tmp_path, "a", preset="full").cell("forward", 1)
    assert cell is not None and cell.timing is not None
    assert (cell.timing.processes, len(cell.timing.time.rounds), cell.timing.time.warmup_n) == (5, 5, 15)


def test_a_failed_network_is_a_cell_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    StandIn.troubles["b"] = Failure(kind="oom", message="OOM at batch 1")
    tally = measure_cells(requests("a", "b", "c"), tmp_path)
    assert (tally.done, tally.failed) == (2, ["b, forward at batch 1: OOM at batch 1"])
    cell = stored(tmp_path, "b").cell("forward", 1)
    assert cell is not None and cell.failure is not None and cell.failure.message == "OOM at batch 1"
    assert stored(tmp_path, "c").failures == ()


def test_what_is_finished_is_not_measured_again_and_what_failed_is(tmp_path: Path) -> None:
    StandIn.troubles["b"] = Failure(kind="oom", message="OOM at batch 1")
    measure_cells(requests("a", "b"), tmp_path)
    StandIn.troubles.clear()
    StandIn.turns.clear()
    tally = measure_cells(requests("a", "b"), tmp_path)
    assert (tally.done, tally.before) == (1, 1)
    assert not any(turn.startswith("a ") for turn in StandIn.turns)
    assert stored(tmp_path, "b").failures == ()
    assert measure_cells(requests("a", "b"), tmp_path, again=True).done == 2


def test_a_failed_repetition_leaves_the_figures_that_there_were(tmp_path: Path) -> None:
    measure_cells(requests("a"), tmp_path)
    before = stored(tmp_path, "a")
    StandIn.troubles["a"] = Failure(kind="error", message="the GPU fell off the bus")
    assert measure_cells(requests("a"), tmp_path, again=True).failed
    assert stored(tmp_path, "a") == before


@pytest.mark.parametrize("trouble", [UserError("no such device"), KeyboardInterrupt()])
def test_a_stop_ends_all_processes_and_keeps_whole_cells(tmp_path: Path, trouble: Exception) -> None:
    measure_cells(requests("a"), tmp_path)
    StandIn.troubles["b"] = trouble
    StandIn.turns.clear()
    with pytest.raises(type(trouble)):
        measure_cells(requests("b", "c"), tmp_path)
    assert StandIn.turns.count("b exit") == StandIn.turns.count("c exit") == 1
    assert [path.name for path in tmp_path.rglob("*.json")] == ["a-32x32-k11-fp32-cpu.json"]


def test_only_what_is_alike_is_timed_together(tmp_path: Path) -> None:
    small, large = requests("a", "b"), requests("a", "b", size=(64, 64))
    measure_cells([*small, *large], tmp_path)
    starts = [turn for turn in StandIn.turns if turn.endswith(("start", "exit"))]
    assert starts[:4] == ["a start", "b start", "b exit", "a exit"]


def test_turns_are_announced(tmp_path: Path) -> None:
    plans: list[int] = []
    said: list[str] = []
    measure_cells(requests("a", "b"), tmp_path, on_plan=plans.append, on_turn=said.append)
    assert plans == [len(said)] == [8]
    assert said[0] == "a 32x32 fp32, forward at batch 1: warming up"
    assert said[2].endswith("round 1 of 3")


def names(keys: tuple[CellKey, ...]) -> list[str]:
    return [f"{key.phase} {key.batch_size}" for key in keys]


def test_the_cells_of_a_record() -> None:
    assert names(cell_keys(make_spec("a"), step_batch=12)) == [
        "shapes 1",
        "inference-memory 1",
        "training-memory 4",
        "forward 1",
        "forward 8",
        "end-to-end 1",
        "backward 1",
        "training-step 12",
    ]
    quick = names(cell_keys(make_spec("a", preset="quick")))
    assert quick == ["shapes 1", "inference-memory 1", "training-memory 4", "forward 1", "backward 1"]
    assert names(cell_keys(make_spec("a", preset="quick"), ("end-to-end",))) == ["end-to-end 1"]
    folded = names(cell_keys(make_spec("a", options=("folded",))))
    assert folded == ["inference-memory 1", "forward 1", "forward 8", "end-to-end 1"]
    assert names(cell_keys(make_spec("a"), ("backward", "shapes"))) == ["shapes 1", "backward 1"]


def test_concluding_follows_the_last_round_only(tmp_path: Path) -> None:
    measure_cells(requests("a"), tmp_path)
    assert StandIn.turns == ["a start", f"a {PREPARE}", *["a round"] * 3, f"a {CONCLUDE}", "a exit"]
