"""Runs on a Ray cluster: one started here, and one of two machines of which one is lost."""

from pathlib import Path

import pytest
from rich.console import Console

from harness.launchers.local import LocalLauncher
from harness.records.run import load_runs
from tests.harness.commands import tiny, with_cache
from tests.harness.launchers.namespace import isolated
from tests.harness.launchers.runs import outcomes, request

HERE = Path(__file__).resolve().parent


@pytest.mark.slow
def test_a_lost_machine_costs_time_alone(tmp_path: Path, drawn_cache: Path) -> None:
    """Two machines, two runs; one machine is lost after its first checkpoint."""
    for name in ("undisturbed", "disturbed"):
        (tmp_path / name).mkdir()
    disturbed = with_cache(tmp_path / "disturbed", drawn_cache)
    arguments = [*tiny("segnet-basic", iterations=40), "--override", "eval_interval=10", "--seeds", "0,1"]
    arguments += ["--override", "optimizer=sgd"]  # measured once; a run by AdamW is by both
    done = isolated(*arguments, "--launcher", "ray", cwd=disturbed, limit_s=540.0, start=[str(HERE / "lose_node.py")])
    assert done.returncode == 0, done
    assert "LOST a machine" in done.stdout
    assert done.stdout.count("its machine was lost (1 of 5 times allowed); goes on from") == 1
    assert done.stdout.count("goes on from iteration") == 1
    runs, _ = load_runs(disturbed / "results")
    timings = [run.record.timing for run in runs]
    assert sorted(timing.segments for timing in timings if timing is not None) == [1, 2]
    assert list((disturbed / "results" / "measurements").glob("*/*.json"))
    assert not list((disturbed / "work").glob(".cluster-*"))

    here = request(with_cache(tmp_path / "undisturbed", drawn_cache))
    (lost,) = [run.record for run in runs if run.record.timing is not None and run.record.timing.segments == 2]
    LocalLauncher(here).execute([lost.spec], here, Console(quiet=True))
    assert outcomes(disturbed / "results")[lost.run_id] == outcomes(here.results)[lost.run_id]


@pytest.mark.slow
def test_ctrl_c_stops_a_cluster_of_our_own_with_checkpoints(tmp_path: Path, drawn_cache: Path) -> None:
    arguments = [*tiny("segnet-basic", iterations=100_000), "--override", "eval_interval=100000"]
    place = with_cache(tmp_path, drawn_cache)
    done = isolated(*arguments, "--launcher", "ray", cwd=place, limit_s=540.0, start=[str(HERE / "interrupt.py")])
    assert done.returncode == 130, done
    assert "stopped at iteration" in done.stdout
    assert "WORKERS LEFT: 0" in done.stdout
    assert list(place.glob("work/runs/*/checkpoint.pt"))
    assert not (place / "results" / "runs").exists()


@pytest.mark.slow
def test_a_temporary_folder_too_long_for_sockets_is_one_line(
    tmp_path: Path, drawn_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = with_cache(tmp_path, drawn_cache)
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    arguments = tiny("segnet-basic", iterations=4)
    done = isolated(*arguments, "--launcher", "ray", cwd=place, limit_s=120.0)
    assert done.returncode == 2 and "Traceback" not in done.said, done
    assert done.stderr.rstrip().endswith("name a shorter folder with the variable RAY_TMPDIR")
