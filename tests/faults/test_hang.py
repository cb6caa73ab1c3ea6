"""Processes that hang, and processes that only wait."""

import fcntl
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.faults.processes import Harness, Place, tiny

pytestmark = pytest.mark.slow


def test_a_hung_worker_is_ended_and_the_others_run(place: Place) -> None:
    with Harness(*tiny("--seeds", "0,1", "--heartbeat-timeout", "20s"), cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        (worker,) = running.workers()
        os.kill(worker, signal.SIGSTOP)
        done = running.done()
    assert done.returncode == 1, done
    assert "no sign of life for 0.333 minutes: the process was ended" in done.stderr
    hung, other = sorted(place.records(), key=lambda record: record["spec"]["seed"])
    assert (hung["failure"]["kind"], other["status"]) == ("killed", "finished")
    assert "no sign of life" in hung["failure"]["message"]
    assert place.checkpoints()  # from where the same command goes on


def test_who_waits_for_a_measurement_is_not_taken_for_hung(place: Place) -> None:
    machine = Path(tempfile.gettempdir()) / f"segnet-harness-{os.getuid()}.lock"
    with machine.open("w") as measuring:
        fcntl.flock(measuring, fcntl.LOCK_EX)
        with Harness(*tiny("--heartbeat-timeout", "10s"), cwd=place.folder) as running:
            running.wait_for(lambda: "waiting until a measurement on this machine has ended" in running.said)
            time.sleep(14)
            assert running.alive and "FAILED" not in running.said
            running.signal_all(signal.SIGTERM)
            assert running.done().returncode == 130
    assert place.records() == []
