"""Several runs at once on this machine, as a user starts them."""

import io
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console

from harness.launchers.local import LocalLauncher, gpu_uuids, shares
from harness.records.run import load_runs
from harness.system.errors import UserError
from tests.faults.processes import Harness
from tests.harness.commands import assert_one_line, harness, tiny, with_cache
from tests.harness.helpers import spec, tiny_protocol
from tests.harness.launchers.runs import outcomes, request


@pytest.mark.parametrize(("jobs", "threads", "each"), [(1, 7, 7), (2, 7, 3), (3, 7, 2), (7, 7, 1)])
def test_threads_of_a_cpu_are_shared(jobs: int, threads: int, each: int) -> None:
    for gpus_per_run in (1, 2):
        assert shares(jobs, gpus_per_run, "cpu", threads) == (each, [{}] * jobs)


def test_more_runs_than_threads_or_cards_are_refused() -> None:
    with pytest.raises(UserError, match=r"--jobs 3: 2 threads can't be shared .* --jobs 2"):
        shares(3, 1, "cpu", 2)
    cards = torch.cuda.device_count()
    with pytest.raises(UserError, match=f"that takes {cards + 2} GPUs, and there are {cards} here"):
        shares(cards + 2, 1, "cuda", 64)


def test_each_run_sees_its_own_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.launchers.local.gpu_uuids", lambda: ["GPU-a", "GPU-b", "GPU-c", "GPU-d"])
    variables = [{"CUDA_VISIBLE_DEVICES": cards} for cards in ("GPU-a,GPU-b", "GPU-c,GPU-d")]
    assert shares(2, 2, "cuda", 8) == (4, variables)
    with pytest.raises(UserError, match="--jobs 2 --gpus-per-run 3: that takes 6 GPUs, and there are 4 here"):
        shares(2, 3, "cuda", 8)


def test_there_are_as_many_uuids_as_cards() -> None:
    uuids = gpu_uuids()
    assert len(set(uuids)) == len(uuids) == torch.cuda.device_count()


def test_more_jobs_than_threads_are_one_line(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    assert_one_line(harness(*tiny("segnet"), "--jobs", "2", cwd=place), "--jobs 2", "1 threads")


@pytest.mark.slow
def test_runs_at_once_come_to_the_same_as_in_turn(tmp_path: Path, drawn_cache: Path) -> None:
    """Two runs: one that finishes, one that fails beside it."""
    diverging = tiny_protocol(lr="1e30", optimizer="sgd", iterations="3", score_train="false")
    fine = tiny_protocol(iterations="3", score_train="false")
    specs = [spec(architecture="segnet-basic", protocol=protocol) for protocol in (diverging, fine)]
    for name in ("turn", "once"):
        (tmp_path / name).mkdir()
        with_cache(tmp_path / name, drawn_cache)
    in_turn = request(tmp_path / "turn")
    LocalLauncher(in_turn).execute(specs, in_turn, Console(quiet=True))
    said, here = io.StringIO(), request(tmp_path / "once", threads=2, jobs=2)
    launcher = LocalLauncher(here)
    outcome = launcher.execute(specs, here, Console(file=said, width=200))
    assert (outcome.done, outcome.failed, outcome.exit_code) == (1, 1, 1)
    assert len(outcomes(here.results)) == 2
    assert outcomes(here.results) == outcomes(tmp_path / "turn" / "results")
    runs, _ = load_runs(here.results)
    (finished,) = [run.record for run in runs if run.record.failure is None]
    assert finished.environment["torch_threads"] == 1
    assert f"{finished.run_id}: iteration 3 of 3" in said.getvalue()
    again = launcher.execute(specs[1:], here, Console(quiet=True))
    assert (again.done, again.skipped) == (0, 1)


@pytest.mark.slow
def test_a_stop_leaves_a_checkpoint_of_each(tmp_path: Path, drawn_cache: Path) -> None:
    arguments = [*tiny("segnet-basic", iterations=100_000), "--override", "eval_interval=100000"]
    arguments += ["--threads", "2", "--jobs", "2", "--seeds", "0,1,2"]
    place = with_cache(tmp_path, drawn_cache)
    with Harness(*arguments, cwd=place) as running:
        running.wait_for(lambda: len(list(place.glob("work/runs/*/position.json"))) == 2)
        running.signal_all(signal.SIGHUP)  # as a terminal does that is closed
        done = running.done()
    assert done.returncode == 130, done
    assert done.stdout.count("stopped at iteration") == 2
    assert "1 not begun" in done.stdout
    assert len(list(place.glob("work/runs/*/checkpoint.pt"))) == 2
    assert load_runs(place / "results") == ([], [])
