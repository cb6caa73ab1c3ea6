"""Several runs at once on this machine, as a user starts them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engines.cluster import until
from harness.records import load_runs
from tests.harness.engines.namespace import ROOT
from tests.harness.engines.runs import outcomes
from tests.harness.test_cli import assert_one_line, harness, tiny, with_cache


def test_more_jobs_than_threads_are_one_line(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    assert_one_line(harness(*tiny("segnet"), "--jobs", "2", cwd=place), "--jobs 2", "1 threads")


@pytest.mark.slow
def test_runs_at_once_come_to_the_same_as_in_turn(tmp_path: Path, drawn_cache: Path) -> None:
    found = {}
    for jobs, threads in ((1, 1), (2, 2)):
        (tmp_path / str(jobs)).mkdir()
        place = with_cache(tmp_path / str(jobs), drawn_cache)
        arguments = [
            *tiny("segnet-basic"),
            "--threads",
            str(threads),
            "--jobs",
            str(jobs),
            "--seeds",
            "0,1,2",
        ]
        done = harness(*arguments, cwd=place)
        assert done.returncode == 0, done.stdout + done.stderr
        found[jobs] = outcomes(place / "results")
    assert len(found[1]) == 3
    assert found[1] == found[2]
    runs, _ = load_runs(tmp_path / "2" / "results")
    assert {run.record.environment["torch_threads"] for run in runs} == {1}
    for run in runs:
        assert f"{run.record.run_id}: iteration 3 of 3" in done.stdout


@pytest.mark.slow
def test_a_failed_run_beside_others_is_a_row(tmp_path: Path, drawn_cache: Path) -> None:
    diverging = [*tiny("segnet-basic", "bilinear-interpolation"), "--override", "optimiser=sgd"]
    diverging += ["--override", "lr=1e30", "--threads", "2", "--jobs", "2"]
    done = harness(*diverging, cwd=with_cache(tmp_path, drawn_cache))
    assert done.returncode == 1, done.stdout + done.stderr
    runs, _ = load_runs(tmp_path / "results")
    assert [run.record.failure is not None and run.record.failure.kind for run in runs] == ["diverged"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_a_checkpoint_of_each(
    tmp_path: Path, drawn_cache: Path, number: signal.Signals
) -> None:
    arguments = [*tiny("segnet-basic", iterations=100_000), "--override", "validate_every=100000"]
    arguments += ["--threads", "2", "--jobs", "2", "--seeds", "0,1,2"]
    place = with_cache(tmp_path, drawn_cache)
    with subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        training = until(lambda: len(list(place.glob("work/runs/*/position.json"))) == 2, 120.0)
        os.killpg(child.pid, number)  # as a terminal does
        said, _ = child.communicate(timeout=60)
    assert training, said
    assert child.returncode == 130
    assert said.count("stopped at iteration") == 2
    assert "1 not begun" in said
    assert len(list(place.glob("work/runs/*/checkpoint.pt"))) == 2
    assert load_runs(place / "results") == ([], [])
