"""The loop that all launchers share, with a launcher that only pretends to carry out runs."""

import io
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.config.request import RunRequest
from harness.config.run_spec import RunSpec
from harness.config.worker_job import WorkerJob
from harness.launchers import base
from harness.launchers.base import Launcher, check_launcher, launcher_for, until
from harness.launchers.local import LocalLauncher
from harness.launchers.steps import PlanResult
from harness.launchers.worker import BAD_INPUT, ELSEWHERE, FAILED, FINISHED, Ending, failed_record
from harness.records.run import Failure, save_run
from harness.system.environment import Device
from harness.system.errors import UserError
from harness.system.signals import STOPPED, TIME_LIMIT_REACHED
from tests.harness.helpers import spec
from tests.harness.launchers.runs import request


class Pretended:
    """A run that ends as it is told to, at its second look."""

    def __init__(self, ending: Ending | None) -> None:
        self._ending = ending
        self._looks = 0
        self.stops = 0

    def poll(self) -> Ending | None:
        self._looks += 1
        if self.stops:
            return Ending(code=STOPPED)
        return self._ending if self._looks > 1 else None

    def stop(self) -> None:
        self.stops += 1


class Pretending(Launcher):
    """Ends each run as `endings` says, one after the other."""

    remote = True
    retries = 2

    def __init__(self, *endings: Ending | None, places: float = 1) -> None:
        self.places = places
        self._endings = list(endings)
        self.started: list[tuple[int, int]] = []  # seed, and how many went on then
        self.runs: list[Pretended] = []

    def pick_device(self, wanted: str) -> Device:
        return "cpu"

    def start(self, job: WorkerJob) -> Pretended:
        going_on = sum(run.poll() is None for run in self.runs)
        self.started.append((job.spec.seed, going_on))
        self.runs.append(Pretended(self._endings.pop(0)))
        return self.runs[-1]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LOOK_S", 0.001)
    monkeypatch.setattr(base, "APPEAR_S", 0.0)
    monkeypatch.setattr(base, "HELD_S", 0.01)


def specs(number: int) -> list[RunSpec]:
    return [spec(seed=seed) for seed in range(number)]


def executed(launcher: Launcher, folder: Path, runs: Sequence[RunSpec], **changes: Any) -> tuple[PlanResult, str]:
    said = io.StringIO()
    result = launcher.execute(runs, request(folder, **changes), Console(file=said, width=200))
    return result, said.getvalue()


def test_endings_are_counted(tmp_path: Path) -> None:
    launcher = Pretending(Ending(code=FAILED), Ending(code=ELSEWHERE), Ending(code=FAILED))
    result, _ = executed(launcher, tmp_path, specs(3))
    assert (result.done, result.failed, result.exit_code) == (0, 2, 1)
    assert [seed for seed, _ in launcher.started] == [0, 1, 2]


def test_a_finished_ending_without_a_record_is_a_failure(tmp_path: Path) -> None:
    result, said = executed(Pretending(Ending(code=FINISHED)), tmp_path, specs(1))
    assert (result.done, result.failed, result.exit_code) == (0, 1, 1)
    assert "there is no record of it" in said


def test_no_more_runs_go_on_than_there_are_places(tmp_path: Path) -> None:
    launcher = Pretending(*[Ending(code=FAILED)] * 5, places=2)
    executed(launcher, tmp_path, specs(5))
    assert len(launcher.started) == 5
    assert max(going_on for _, going_on in launcher.started) <= 1


def test_a_lost_machine_s_run_goes_on_elsewhere_so_often(tmp_path: Path) -> None:
    lost = Ending(code=STOPPED, lost=True)
    result, said = executed(Pretending(lost, lost, Ending(code=FAILED)), tmp_path, specs(1))
    assert said.count("its machine was lost") == 2 and result.failed == 1
    result, said = executed(Pretending(lost, lost, lost), tmp_path, specs(1))
    assert "FAILED: its machine was lost (3 of 2 times allowed)" in said and result.failed == 1


def test_a_run_that_was_taken_away_goes_on(tmp_path: Path) -> None:
    launcher = Pretending(Ending(code=STOPPED), Ending(code=FAILED))
    result, said = executed(launcher, tmp_path, specs(1))
    assert "it was stopped where it ran (1 of 2 times allowed)" in said
    assert not result.stopped


class Refusing(Pretending):
    """Takes no second run while one goes on, as a full queue."""

    def start(self, job: WorkerJob) -> Pretended:
        if any(run.poll() is None for run in self.runs):
            raise UserError("the queue is full")
        return super().start(job)


def test_a_start_that_is_refused_is_tried_again_while_others_go_on(tmp_path: Path) -> None:
    launcher = Refusing(*[Ending(code=FAILED)] * 3, places=3)
    result, said = executed(launcher, tmp_path, specs(3))
    assert (result.failed, [seed for seed, _ in launcher.started]) == (3, [0, 1, 2])
    assert "not started: the queue is full; tried again" in said


def test_a_first_start_that_is_refused_is_bad_input(tmp_path: Path) -> None:
    launcher = Refusing(None)
    launcher.runs.append(Pretended(None))
    with pytest.raises(UserError, match="the queue is full"):
        executed(launcher, tmp_path, specs(1))


@pytest.mark.parametrize("code", [TIME_LIMIT_REACHED, BAD_INPUT])
def test_after_a_budget_s_end_or_bad_input_nothing_is_begun(tmp_path: Path, code: int) -> None:
    launcher = Pretending(Ending(code=code), Ending(code=FAILED))
    if code == BAD_INPUT:
        with pytest.raises(UserError):
            executed(launcher, tmp_path, specs(2))
    else:
        result, said = executed(launcher, tmp_path, specs(2))
        assert result.exit_code == TIME_LIMIT_REACHED and "1 not begun" in said
    assert len(launcher.started) == 1


def test_a_budget_too_short_begins_nothing(tmp_path: Path) -> None:
    launcher = Pretending()
    result, said = executed(launcher, tmp_path, specs(2), deadline_s=time.monotonic() + 30.0)
    assert result.time_limit_reached and launcher.started == [] and "2 not begun" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_stops_all_and_begins_no_more(tmp_path: Path, number: signal.Signals) -> None:
    class Signaled(Pretending):
        def start(self, job: WorkerJob) -> Pretended:
            run = super().start(job)
            if len(self.runs) == 2:
                os.kill(os.getpid(), number)
            return run

    launcher = Signaled(None, None, None, places=2)
    result, said = executed(launcher, tmp_path, specs(3))
    assert result.exit_code == STOPPED and "1 not begun" in said
    assert [run.stops for run in launcher.runs] == [1, 1]


def test_what_failed_before_is_tried_again_and_said(tmp_path: Path) -> None:
    here = request(tmp_path)
    job = WorkerJob(spec=spec(), request=here)
    save_run(here.results, failed_record(job, Failure(kind="error", message="[/b] odd [text]")), {})
    _, said = executed(Pretending(Ending(code=FAILED)), tmp_path, specs(1))
    assert "to do (failed before: [/b] odd [text])" in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"launcher": "nowhere"}, "unknown launcher 'nowhere'; known: local, slurm, ray"),
        ({"launcher": "locale"}, "unknown launcher 'locale'; did you mean 'local'"),
        ({"launcher": "ray", "jobs": 2}, "--jobs is of the launcher local"),
        ({"ray_address": "auto"}, "--ray-address is of the launcher ray"),
        ({"slurm": {"time": "1h"}}, "--slurm is of the launcher slurm"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_launcher(RunRequest.model_validate(options))


def test_local_is_this_machine() -> None:
    assert isinstance(launcher_for(RunRequest(jobs=2)), LocalLauncher)


@pytest.mark.parametrize(("name", "module", "extra"), [("ray", "ray", "ray"), ("slurm", "submitit", "slurm")])
def test_what_is_not_installed_is_named(name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, f"harness.launchers.{name}", raising=False)
    for found in [one for one in sys.modules if one.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, found)
    real = __import__

    def missing(wanted: str, *how: Any) -> Any:
        if wanted.partition(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return real(wanted, *how)

    monkeypatch.setattr("builtins.__import__", missing)
    with pytest.raises(UserError, match=rf'{module} is not installed; .*pip install -e "\.\[{extra}\]"'):
        launcher_for(RunRequest(launcher=name))


def test_waiting_ends() -> None:
    looks = iter([False, False, True])
    assert until(lambda: next(looks), 10.0, look_s=0.01)
    assert not until(lambda: False, 0.05, look_s=0.01)
