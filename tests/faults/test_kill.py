"""Processes that are killed or asked to stop, at any moment and in any number."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.faults.processes import Harness, Place, harness, in_session, outcome, tiny, trained
from tests.harness.commands import ROOT

pytestmark = pytest.mark.slow

Send = Callable[[Harness, signal.Signals], None]


def to_the_command(running: Harness, number: signal.Signals) -> None:
    os.kill(running.pid, number)


def to_all(running: Harness, number: signal.Signals) -> None:
    running.signal_all(number)


def to_the_worker(running: Harness, number: signal.Signals) -> None:
    (worker,) = running.workers()
    os.kill(worker, number)


def test_all_killed_and_what_was_half_written_is_never_read(place: Place, undisturbed: Place) -> None:
    """With what a kill in the midst of each kind of writing leaves."""
    with Harness(*tiny(), cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        to_all(running, signal.SIGKILL)
    assert place.records() == []
    (checkpoint,) = place.checkpoints()
    run_id = checkpoint.parent.name
    half = checkpoint.read_bytes()[:5000]
    for name in (".checkpoint.pt.99999.tmp", ".best-000004.safetensors.99999.tmp"):
        (checkpoint.parent / name).write_bytes(half)
    staging = place.results / "runs" / f".{run_id}.99999.tmp"
    staging.mkdir(parents=True)
    (staging / "record.json").write_bytes(half)
    assert "goes on from iteration" in trained(place, *tiny())
    assert outcome(place) == outcome(undisturbed)
    assert place.leftovers() == []


def test_the_worker_alone_killed_is_a_row_and_the_others_run(place: Place, undisturbed: Place) -> None:
    both = tiny("--seeds", "0,1")
    with Harness(*both, cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        to_the_worker(running, signal.SIGKILL)
        done = running.done()
    assert done.returncode == 1, done
    assert "FAILED: the process was ended by SIGKILL" in done.stderr
    assert [one["status"] for one in place.records()] in (["failed", "finished"], ["finished", "failed"])
    assert "goes on from iteration" in trained(place, *both)
    assert outcome(place) == outcome(undisturbed)


def test_the_command_alone_killed_takes_its_worker_with_it(place: Place, undisturbed: Place) -> None:
    """The worker notices, saves and ends; another command meanwhile leaves the run to it."""
    with Harness(*tiny(), cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        (worker,) = running.workers()
        os.kill(worker, signal.SIGSTOP)  # so that it has not ended before the second command looks
        to_the_command(running, signal.SIGKILL)
        with Harness(*tiny(), cwd=place.folder) as second:
            second.wait_for(lambda: "left to another process that works on it" in second.said)
        os.kill(worker, signal.SIGCONT)
        until = time.monotonic() + 60
        while worker in in_session(running.pid) and time.monotonic() < until:
            time.sleep(0.1)
        assert worker not in in_session(running.pid)
        assert "stopped at iteration" in running.said
    assert place.records() == [] and place.checkpoints()
    assert "goes on from iteration" in trained(place, *tiny())
    assert outcome(place) == outcome(undisturbed)


@pytest.mark.parametrize(
    ("send", "number"),
    [
        (to_the_command, signal.SIGTERM),
        (to_all, signal.SIGINT),
        (to_the_worker, signal.SIGQUIT),
    ],
)
def test_a_stop_leaves_a_checkpoint_and_the_same_command_goes_on(
    place: Place, undisturbed: Place, send: Send, number: signal.Signals
) -> None:
    with Harness(*tiny(), cwd=place.folder) as running:
        running.wait_for(place.checkpoints)
        send(running, number)
        done = running.done()
    assert done.returncode == 130, done
    assert "stopped at iteration" in done.stdout
    assert place.records() == []
    assert "goes on from iteration" in trained(place, *tiny())
    assert outcome(place) == outcome(undisturbed)


@pytest.mark.parametrize(("number", "after_s"), [(signal.SIGTERM, 0.0), (signal.SIGINT, 1.0)])
def test_a_stop_before_training_is_no_failure(place: Place, number: signal.Signals, after_s: float) -> None:
    with Harness(*tiny("--seeds", "0,1"), cwd=place.folder) as running:
        running.wait_for(running.workers)
        time.sleep(after_s)
        running.signal_all(number)
        done = running.done()
    assert done.returncode == 130, done
    assert place.records() == []


@pytest.mark.alone
def test_a_budget_ends_the_run_in_time_with_a_checkpoint(place: Place) -> None:
    endless = tiny("--budget", "120s", iterations=200_000, every=100_000)
    began = time.monotonic()
    done = harness(*endless, cwd=place.folder)
    assert time.monotonic() - began < 120
    assert done.returncode == 75, done
    assert "the budget is used up at iteration" in done.stdout
    assert len(place.checkpoints()) == 1
    assert place.records() == []


def test_processes_that_score_images_end_with_a_killed_worker() -> None:
    script = """
import time
import numpy as np
from harness.metrics.boundary_f1 import BoundaryPool
if __name__ == "__main__":
    with BoundaryPool(11, 2, start_after_s=0.0) as pool:
        maps = np.zeros((30, 40), np.uint8)
        for _ in range(4):
            pool.submit(maps, maps)
        pool.results()
        print("scored", flush=True)
        time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "scored\n"
        assert len(in_session(process.pid)) >= 3
        process.kill()
        process.wait()
        until = time.monotonic() + 20
        while in_session(process.pid) and time.monotonic() < until:
            time.sleep(0.1)
        assert in_session(process.pid) == []
