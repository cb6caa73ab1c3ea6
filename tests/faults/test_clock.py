"""A wall clock that runs backwards, and files that come from the future."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.processes import Harness, Place, harness, outcome, tiny, trained

pytestmark = pytest.mark.slow

YEAR_2100_S = 4_102_444_800


@pytest.fixture
def backwards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables with which a process has such a clock."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler `cc`, for a clock that runs backwards")
    library = tmp_path_factory.mktemp("clock") / "backwards.so"
    source = Path(__file__).with_name("backwards.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    return {"LD_PRELOAD": str(library), "BACKWARDS_FROM": f"{time.time():.0f}"}


def test_a_clock_that_runs_backwards_changes_nothing(
    place: Place, undisturbed: Place, backwards: dict[str, str]
) -> None:
    look = "import time; a = time.time(); time.sleep(0.1); print(time.time() - a)"
    shown = subprocess.run(
        [sys.executable, "-c", look], env={**os.environ, **backwards}, capture_output=True, text=True
    )
    assert float(shown.stdout) < -0.9
    with Harness(*tiny("--heartbeat-timeout", "60s"), cwd=place.folder, variables=backwards) as running:
        running.wait_for(place.checkpoints)
        running.signal_all(signal.SIGTERM)
        assert running.done().returncode == 130
    (beat,) = place.work.glob("runs/*/heartbeat")
    assert beat.stat().st_mtime < time.time() - 20
    for path in (*place.results.rglob("*"), *place.work.rglob("*")):
        os.utime(path, (YEAR_2100_S, YEAR_2100_S))
    assert "goes on from iteration" in trained(place, *tiny("--heartbeat-timeout", "60s"), variables=backwards)
    assert outcome(place) == outcome(undisturbed)
    timing = place.records()[0]["timing"]
    assert min(timing["train_s"], timing["evaluate_s"]) >= 0 and 0 < timing["total_s"] < 200
    again = harness(*tiny(), cwd=place.folder, variables=backwards)
    assert again.returncode == 0 and "finished before, nothing to do" in again.stdout
