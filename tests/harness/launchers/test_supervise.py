"""Watching over a process: heartbeat_timeout, signs of life, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.launchers import supervisor as supervise
from harness.launchers import worker
from harness.launchers.supervisor import KEEP_MEMORY, call
from harness.system.signals import STOPPED


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "LOOK_S", 0.1)
    monkeypatch.setattr(supervise, "LEAVE_S", 0.5)


def test_the_exit_code_comes_back(tmp_path: Path) -> None:
    assert call(python("import sys; sys.exit(7)"), tmp_path / "beat", 60.0) == 7
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert call(python(killed), tmp_path / "beat", 60.0) == -signal.SIGKILL


@pytest.mark.parametrize("deaf", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "])
def test_a_process_without_a_sign_of_life_is_ended(tmp_path: Path, deaf: str) -> None:
    began = time.monotonic()
    assert call(python(f"{deaf}import time; time.sleep(60)"), tmp_path / "beat", 1.0) is None
    assert 1.0 <= time.monotonic() - began < 10.0


def test_signs_of_life_are_seen(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    script = f"""
import pathlib, time
for _ in range(8):
    pathlib.Path({str(beat)!r}).touch()
    time.sleep(0.3)
"""
    assert call(python(script), beat, 1.5) == 0


def test_a_user_s_own_setting_of_the_allocator_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MALLOC_MMAP_MAX_"
    script = f"import os, sys; sys.exit(int(os.environ[{name!r}]))"
    assert call(python(script), tmp_path / "beat", 60.0) == int(KEEP_MEMORY[name])
    monkeypatch.setenv(name, "5")
    assert call(python(script), tmp_path / "beat", 60.0) == 5


@pytest.mark.parametrize("listening", [False, True])
def test_a_stop_while_the_process_starts_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listening: bool
) -> None:
    """SIGTERM that comes to the command alone, before Popen has returned."""

    class Asked(subprocess.Popen[bytes]):
        def __init__(self, *how: Any, **more: Any) -> None:
            super().__init__(*how, **more)
            while listening and not ready.exists():
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGTERM)

    ready = tmp_path / "ready"
    script = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit({worker.BAD_INPUT}))
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""
    monkeypatch.setattr(subprocess, "Popen", Asked)
    missed: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: missed.append(number))
    try:
        code = call(python(script), tmp_path / "beat", 60.0)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert missed == []
    # one that could not heed it yet, and one that ended in its own way
    assert code == (worker.BAD_INPUT if listening else STOPPED)
