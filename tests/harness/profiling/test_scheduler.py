"""Scheduling with stand-ins for the processes: who does which step when, and what is saved of it."""

import time
from pathlib import Path
from typing import Any, ClassVar, Self

import pytest

from harness.profiling import scheduler
from harness.profiling.energy import BaselinePower
from harness.profiling.presets import measurement_keys
from harness.profiling.scheduler import Request, run_measurements
from harness.profiling.work import FINALIZE, PREPARE, ROUND, RoundSamples, Task, WorkerResult
from harness.records.measurement import (
    METHOD,
    Failure,
    MeasurementKey,
    MeasurementRecord,
    MeasureSpec,
    measurement_path,
    read_record,
    save_measurement,
)
from harness.system.errors import UserError
from harness.system.quantities import Quantity
from tests.harness.profiling import test_record

FORWARD = MeasurementKey(phase="forward", batch_size=1)


def make_spec(architecture: str, **changes: Any) -> MeasureSpec:
    return test_record.make_spec(**{"architecture": architecture, "size": (32, 32), "threads": 1, **changes})


def make_result(**changes: Any) -> WorkerResult:
    values: dict[str, Any] = {
        "device_name": "a CPU",
        "device_slug": "cpu-a",
        "environment": {"torch": "2.11"},
        "measured_at": "2026-01-02T03:04:05+00:00",
        "wall_s": 1.0,
        "load_average_before": Quantity(value=0.1),
        "load_average_after": Quantity(value=1.0),
    }
    return WorkerResult.model_validate({**values, **changes})


class StandIn:
    """A worker that computes nothing and notes its steps; `troubles` says what befalls an architecture."""

    steps: ClassVar[list[str]] = []
    troubles: ClassVar[dict[str, Failure | Exception]] = {}

    def __init__(self, task: Task, folder: Path) -> None:
        self.task = task
        self._rounds = 0

    def __enter__(self) -> Self:
        self._note("start")
        return self

    def __exit__(self, *error: object) -> None:
        self._note("exit")

    def ready(self) -> bool:
        return self.task.spec.architecture not in self.troubles

    def step(self, what: str) -> bool:
        self._note(what)
        self._rounds += what == ROUND
        return self.task.spec.architecture not in self.troubles

    def begin(self, what: str) -> bool:
        self._note(f"begins {what}")
        return self.ready()

    def finish(self) -> bool:
        return self.ready()

    def outcome(self) -> tuple[WorkerResult | None, Failure | None]:
        trouble = self.troubles.get(self.task.spec.architecture)
        if isinstance(trouble, Failure):
            return None, trouble
        if trouble:
            raise trouble
        samples = RoundSamples(samples_ms=(10.0, 11.0, 12.0) * 4, uncovered_share=0.0)
        return make_result(rounds=(samples,) * self._rounds, warmup_n=3), None

    def _note(self, what: str) -> None:
        self.steps.append(f"{self.task.spec.architecture} {what}")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MeasurementWorker", StandIn)
    monkeypatch.setattr(scheduler, "device_slug", lambda device: "cpu-a")
    monkeypatch.setattr(scheduler, "device_name", lambda device: "a CPU")
    monkeypatch.setattr(scheduler, "measurement_path", lambda r, spec: measurement_path(r, spec, "cpu-a"))
    monkeypatch.setattr(StandIn, "steps", [])
    monkeypatch.setattr(StandIn, "troubles", {})


def requests(*names: str, keys: tuple[MeasurementKey, ...] = (FORWARD,), **changes: Any) -> list[Request]:
    return [Request(spec=make_spec(name, **changes), keys=keys) for name in names]


def stored(results: Path, name: str, **changes: Any) -> MeasurementRecord:
    return read_record(measurement_path(results, make_spec(name, **changes), "cpu-a"))


def test_rounds_go_round_between_architectures(tmp_path: Path) -> None:
    totals = run_measurements(requests("a", "b", "c"), tmp_path)
    assert (totals.done, totals.before, totals.failed) == (3, 0, [])
    steps = StandIn.steps
    assert steps[:3] == ["a start", "b start", "c start"]
    assert steps[3:6] == ["a prepare", "b prepare", "c prepare"], "all have loaded before one warms up"
    rounds = [step for step in steps if step.endswith(ROUND)]
    assert steps[6:15] == rounds
    for start in (0, 3, 6):  # each round meets each of them once, in whatever order
        assert sorted(rounds[start : start + 3]) == ["a round", "b round", "c round"]
    assert len({tuple(rounds[start : start + 3]) for start in (0, 3, 6)}) > 1, "always the same order"
    assert steps[15:18] == ["a finalize", "b finalize", "c finalize"]
    cell = stored(tmp_path, "b").cell("forward", 1)
    assert cell is not None and cell.timing is not None
    assert (cell.timing.time.n, cell.timing.time.median_ms, cell.timing.processes) == (36, 11.0, 1)


def test_processes_start_beside_each_other_where_that_is_no_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU only those that take no times, after those that do."""
    monkeypatch.setattr(scheduler, "baseline_power", lambda spec: BaselinePower())
    monkeypatch.setattr(scheduler, "_save", lambda *found: None)  # the stand-in finds no memory
    memory = MeasurementKey(phase="training-memory", batch_size=4)
    beside = ["a start", "b start", "a prepare", "b prepare", "b exit", "a exit"]
    run_measurements(requests("a", "b", keys=(memory,), device="cuda", preset="lease"), tmp_path)
    assert StandIn.steps == beside
    StandIn.steps.clear()
    run_measurements(requests("a", "b", keys=(memory, FORWARD)), tmp_path)
    assert StandIn.steps[-6:] == beside
    assert StandIn.steps[-9:-6] == ["b finalize", "b exit", "a exit"]
    StandIn.steps.clear()
    run_measurements(requests("a", "b", keys=(MeasurementKey(phase="shapes", batch_size=1),)), tmp_path)
    assert StandIn.steps[:4] == ["a start", "b start", "a begins prepare", "b begins prepare"]


def test_full_preset_takes_a_fresh_process_for_each_round(tmp_path: Path) -> None:
    run_measurements(requests("a", "b", preset="full"), tmp_path)
    steps = StandIn.steps
    assert steps.count("a start") == steps.count("a exit") == steps.count("a round") == 5
    assert steps.count("a finalize") == 1
    running = 0
    for step in steps:
        running += step.endswith("start") - step.endswith("exit")
        assert running <= 1, "two processes beside each other"
    cell = stored(tmp_path, "a", preset="full").cell("forward", 1)
    assert cell is not None and cell.timing is not None
    assert (cell.timing.processes, len(cell.timing.time.rounds), cell.timing.time.warmup_n) == (5, 5, 15)


def test_nothing_is_begun_after_the_deadline(tmp_path: Path) -> None:
    backward = MeasurementKey(phase="backward", batch_size=1)
    asked = requests("a", "b", keys=(FORWARD, backward))
    late = run_measurements(asked, tmp_path, deadline_s=time.monotonic() - 1)
    assert (late.done, late.not_begun, StandIn.steps) == (0, 4, [])
    assert run_measurements(asked, tmp_path, deadline_s=time.monotonic() + 3600).not_begun == 0
    again = run_measurements(asked, tmp_path, deadline_s=time.monotonic() - 1)
    assert (again.before, again.not_begun) == (4, 0)


def test_a_failed_network_is_a_failed_measurement_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    StandIn.troubles["b"] = Failure(kind="oom", message="OOM at batch 1")
    totals = run_measurements(requests("a", "b", "c"), tmp_path)
    assert (totals.done, totals.failed) == (2, ["b, forward at batch 1: OOM at batch 1"])
    cell = stored(tmp_path, "b").cell("forward", 1)
    assert cell is not None and cell.failure is not None and cell.failure.message == "OOM at batch 1"
    assert stored(tmp_path, "c").failures == ()


def test_what_is_finished_is_not_measured_again_and_what_failed_is(tmp_path: Path) -> None:
    StandIn.troubles["b"] = Failure(kind="oom", message="OOM at batch 1")
    run_measurements(requests("a", "b"), tmp_path)
    StandIn.troubles.clear()
    StandIn.steps.clear()
    totals = run_measurements(requests("a", "b"), tmp_path)
    assert (totals.done, totals.before) == (1, 1)
    assert not any(step.startswith("a ") for step in StandIn.steps)
    assert stored(tmp_path, "b").failures == ()
    assert run_measurements(requests("a", "b"), tmp_path, force=True).done == 2


def test_a_record_of_another_revision_or_number_of_threads_is_never_taken_for_it(tmp_path: Path) -> None:
    run_measurements(requests("a"), tmp_path)
    totals = run_measurements(requests("a", architecture_revision=2), tmp_path)
    assert (totals.done, totals.before) == (1, 0)
    record = stored(tmp_path, "a")
    assert record.spec.architecture_revision == 2 and len(record.cells) == 1
    with pytest.raises(UserError, match="a was measured on 1 threads: choose --threads 1"):
        run_measurements(requests("a", architecture_revision=2, threads=3), tmp_path)


def test_what_an_earlier_revision_measured_otherwise_is_measured_again(tmp_path: Path) -> None:
    run_measurements(requests("a", precision="bf16"), tmp_path)
    record = stored(tmp_path, "a", precision="bf16")
    assert record.flags == ()
    old = record.model_copy(update={"cells": tuple(cell.model_copy(update={"method": 1}) for cell in record.cells)})
    save_measurement(tmp_path, old)
    assert old.flags == ("forward at batch 1: weights were converted to bf16 at every pass",)
    assert run_measurements(requests("a", precision="bf16"), tmp_path).done == 1
    assert stored(tmp_path, "a", precision="bf16").cells[0].method == METHOD


def test_a_failed_repetition_leaves_the_figures_that_there_were(tmp_path: Path) -> None:
    run_measurements(requests("a"), tmp_path)
    before = stored(tmp_path, "a")
    StandIn.troubles["a"] = Failure(kind="error", message="the GPU fell off the bus")
    assert run_measurements(requests("a"), tmp_path, force=True).failed
    assert stored(tmp_path, "a") == before


@pytest.mark.parametrize("trouble", [UserError("no such device"), KeyboardInterrupt()])
def test_a_stop_ends_all_processes_and_keeps_whole_measurements(tmp_path: Path, trouble: Exception) -> None:
    run_measurements(requests("a"), tmp_path)
    StandIn.troubles["b"] = trouble
    StandIn.steps.clear()
    with pytest.raises(type(trouble)):
        run_measurements(requests("b", "c"), tmp_path)
    assert StandIn.steps.count("b exit") == StandIn.steps.count("c exit") == 1
    assert [path.name for path in tmp_path.rglob("*.json")] == ["a-32x32-k11-fp32-cpu.json"]


def test_only_what_is_alike_is_timed_together(tmp_path: Path) -> None:
    small, large = requests("a", "b"), requests("a", "b", size=(64, 64))
    run_measurements([*small, *large], tmp_path)
    starts = [step for step in StandIn.steps if step.endswith(("start", "exit"))]
    assert starts[:4] == ["a start", "b start", "b exit", "a exit"]


def test_steps_are_announced(tmp_path: Path) -> None:
    plans: list[int] = []
    said: list[str] = []
    run_measurements(requests("a", "b"), tmp_path, on_plan=plans.append, on_step=said.append)
    assert plans == [len(said)] == [8]
    assert said[0] == "a 32x32 fp32, forward at batch 1: warming up"
    assert said[2].endswith("round 1 of 3")


def names(keys: tuple[MeasurementKey, ...]) -> list[str]:
    return [f"{key.phase} {key.batch_size}" for key in keys]


def test_the_measurements_of_a_record() -> None:
    assert names(measurement_keys(make_spec("a"), step_batch=12)) == [
        "shapes 1",
        "inference-memory 1",
        "training-memory 4",
        "forward 1",
        "forward 8",
        "end-to-end 1",
        "backward 1",
        "training-step 12",
    ]
    quick = names(measurement_keys(make_spec("a", preset="quick")))
    assert quick == ["shapes 1", "inference-memory 1", "training-memory 4", "forward 1", "backward 1"]
    assert names(measurement_keys(make_spec("a", preset="quick"), ("end-to-end",))) == ["end-to-end 1"]
    folded = names(measurement_keys(make_spec("a", options=("folded",))))
    assert folded == ["inference-memory 1", "forward 1", "forward 8", "end-to-end 1"]
    adamw = names(measurement_keys(make_spec("a", options=("adamw",))))
    assert adamw == ["shapes 1", "training-memory 4", "training-step 5"]
    assert names(measurement_keys(make_spec("a"), ("backward", "shapes"))) == ["shapes 1", "backward 1"]


def test_finalizing_follows_the_last_round_only(tmp_path: Path) -> None:
    run_measurements(requests("a"), tmp_path)
    assert StandIn.steps == ["a start", f"a {PREPARE}", *["a round"] * 3, f"a {FINALIZE}", "a exit"]
