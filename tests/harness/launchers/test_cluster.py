"""What the launcher plans with, by hand."""

import time
from pathlib import Path

import pytest

from harness.config.initial_weights import HE
from harness.launchers.cluster import Node, budget_end_s, portable_job, threads_of_a_run, until, worked_on
from harness.launchers.run import Outcome
from harness.launchers.scheduling import count, still_to_do
from harness.system.errors import UserError
from harness.system.locks import run_lock
from tests.harness.helpers import spec
from tests.harness.launchers.runs import context, job


def node(cpus: float, gpus: float = 0) -> Node:
    return Node(id=f"{cpus}-{gpus}", name="10.0.0.1", cpus=cpus, gpus=gpus)


def test_a_run_on_a_cpu_takes_the_threads_that_were_asked_for() -> None:
    assert threads_of_a_run([node(4), node(16)], "cpu", 8) == 8
    with pytest.raises(UserError, match=r"--threads 17: no machine .* the most is 16"):
        threads_of_a_run([node(4), node(16)], "cpu", 17)


def test_a_run_on_a_gpu_takes_at_most_the_share_of_a_card() -> None:
    assert threads_of_a_run([node(64, 8), node(12, 4)], "cuda", 64) == 3
    assert threads_of_a_run([node(64, 8)], "cuda", 2) == 2
    assert threads_of_a_run([node(4, 8)], "cuda", 4) == 1


def test_a_job_s_paths_hold_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = context(
        Path(),
        data_root="data",
        weights={HE.key: Path("vgg.safetensors")},
        deadline_s=time.monotonic() + 60.0,
        threads=8,
    )
    made = portable_job(spec(), here, 3)
    assert made.threads == 3
    assert made.data_root == str(tmp_path / "data")
    assert made.weights == tmp_path / "vgg.safetensors"
    assert made.results == tmp_path / "results" and made.work == tmp_path / "work"
    assert made.deadline_s is None


def test_the_budget_s_end_is_told_by_the_wall_clock(tmp_path: Path) -> None:
    assert budget_end_s(context(tmp_path)) is None
    end_s = budget_end_s(context(tmp_path, deadline_s=time.monotonic() + 100.0))
    assert end_s is not None and end_s - time.time() == pytest.approx(100.0, abs=1.0)


def test_who_holds_a_run_works_on_it(tmp_path: Path) -> None:
    one = job(tmp_path)
    assert not worked_on(one)
    with run_lock(one.results, one.spec.run_id):
        assert worked_on(one)
    assert not worked_on(one)


def test_waiting_ends(tmp_path: Path) -> None:
    looks = iter([False, False, True])
    assert until(lambda: next(looks), 10.0, look_s=0.01)
    assert not until(lambda: False, 0.05, look_s=0.01)


def test_endings_are_counted(tmp_path: Path) -> None:
    outcome = Outcome()
    for code in (0, 0, 1, 2, 3):
        count(outcome, code)
    assert (outcome.done, outcome.failed, outcome.stopped, outcome.time_limit_reached) == (2, 2, False, False)
    count(outcome, 75)
    count(outcome, 130)
    assert outcome.stopped and outcome.time_limit_reached
    assert (outcome.done, outcome.failed) == (2, 2)


def test_all_is_to_do_where_nothing_is_finished(tmp_path: Path) -> None:
    from rich.console import Console

    outcome = Outcome()
    assert still_to_do([spec()], context(tmp_path), Console(quiet=True), outcome) == [spec()]
    assert outcome.skipped == 0
