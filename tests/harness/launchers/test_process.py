"""The process of a run, judged by what it leaves: heartbeats, stops, and ends of any kind."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness.launchers import process
from harness.launchers.process import KEEP_MEMORY, RunProcess, failure_of
from harness.launchers.worker import FAILED, Ending
from harness.records.run import load_run, runs_folder
from harness.system.signals import STOPPED
from harness.system.supervisor import ChildEnding
from tests.harness.launchers.runs import job

PRELUDE = "import os, pathlib, signal, sys, time; job = pathlib.Path(sys.argv[1]); "


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LEAVE_S", 0.5)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, more: dict[str, Any] | None = None) -> RunProcess:
    """A process that runs a script in the worker's place."""
    monkeypatch.setattr(process, "command", lambda module, path: ["python3", "-c", PRELUDE + script, str(path)])
    return RunProcess(job(folder, more), log=folder / "log.txt")


def ended(running: RunProcess, limit_s: float = 60.0) -> Ending:
    until = time.monotonic() + limit_s
    while (ending := running.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    return ending


def failure(folder: Path) -> Any:
    (stored,) = runs_folder(folder / "results").iterdir()
    return load_run(stored).record.failure


@pytest.mark.parametrize(
    ("script", "kind", "says"),
    [
        ("os._exit(0)", "error", "exit code 0 and left no result"),
        ("sys.exit(75)", "error", "exit code 75 and left no result"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed", "ended by SIGKILL; out of memory?"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed", "ended by SIGSEGV"),
    ],
)
def test_without_an_ending_no_exit_is_a_success(
    script: str, kind: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = ended(run(tmp_path, monkeypatch, script))
    assert ending.code == FAILED
    assert failure(tmp_path).kind == kind and says in failure(tmp_path).message
    assert f"FAILED: {failure(tmp_path).message}" in (tmp_path / "log.txt").read_text()


def test_the_ending_that_was_left_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Ending(code=3, line="error: [/b] odd").model_dump_json()
    running = run(tmp_path, monkeypatch, f"job.with_name('ending.json').write_text({left!r}); sys.exit(9)")
    assert ended(running).code == 3
    assert "error: [/b] odd" in (tmp_path / "log.txt").read_text()
    assert not (tmp_path / "results" / "runs").exists()


LEFT = Ending(code=STOPPED, line="stopped at iteration 3").model_dump_json()


@pytest.mark.parametrize(
    "handler",
    [
        "signal.SIG_DFL",
        "signal.SIG_IGN",
        # it heeds the signal, which was sent for want of a heartbeat: that is no stop of the plan
        f"lambda *_: (job.with_name('ending.json').write_text({LEFT!r}), os._exit(130))",
    ],
)
def test_a_process_without_a_heartbeat_is_ended(handler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"signal.signal(signal.SIGTERM, {handler}); time.sleep(60)"
    assert ended(run(tmp_path, monkeypatch, script, {"heartbeat_timeout_s": 1.5}), 20.0).code == FAILED
    assert "no sign of life" in failure(tmp_path).message


def test_heartbeats_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = job(tmp_path)
    one.folder.mkdir(parents=True)
    beat = str(one.folder / "heartbeat")
    script = f"[(pathlib.Path({beat!r}).touch(), time.sleep(0.3)) for _ in range(10)]"
    running = run(tmp_path, monkeypatch, script, {"heartbeat_timeout_s": 2.0})
    ended(running)
    assert "exit code 0" in failure(tmp_path).message


def test_a_stop_before_the_process_could_heed_it_is_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = run(tmp_path, monkeypatch, "time.sleep(60)")
    running.stop()
    assert ended(running).code == STOPPED
    assert not (tmp_path / "results" / "runs").exists()


def test_a_user_s_own_setting_of_the_allocator_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, said = "MALLOC_MMAP_MAX_", tmp_path / "said"
    script = f"pathlib.Path({str(said)!r}).write_text(os.environ[{name!r}])"
    ended(run(tmp_path, monkeypatch, script))
    assert said.read_text() == KEEP_MEMORY[name]
    monkeypatch.setenv(name, "5")
    ended(run(tmp_path, monkeypatch, script))
    assert said.read_text() == "5"


def test_the_kernel_s_oom_killer_is_told_from_others() -> None:
    killed = ChildEnding(code=-signal.SIGKILL, oom_killed=True)
    assert failure_of(killed, 5).message == "OOM at batch 5: the process was killed by the kernel's OOM killer"
    assert failure_of(ChildEnding(code=-signal.SIGTERM, oom_killed=True), 5).kind == "killed"


def test_who_started_a_process_is_told_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    ended(run(tmp_path, monkeypatch, f"pathlib.Path({str(said)!r}).write_text(os.environ['SEGNET_SUPERVISOR'])"))
    assert said.read_text() == str(os.getpid())
