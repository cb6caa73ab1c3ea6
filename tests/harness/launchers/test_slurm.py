"""Runs as jobs of a cluster: by submitit's executor for this machine, and by commands that only play SLURM."""

import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from harness.launchers.slurm import SlurmLauncher
from harness.records.run import load_runs
from harness.system.errors import UserError
from tests.faults.processes import Harness
from tests.harness.commands import ROOT, assert_one_line, harness, tiny, with_cache
from tests.harness.helpers import spec, tiny_protocol
from tests.harness.launchers import fake_slurm
from tests.harness.launchers.runs import request

SLURM = ("--launcher", "slurm", "--device", "cpu", "--no-measure", "--slurm", "time=10m", "--slurm", "cpus=1")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"time": "soon"}, "slurm time 'soon': write a number"),
        ({"gpus": "two"}, "--slurm gpus=two: write a whole number"),
        ({"memory": "٣"}, "--slurm memory=٣: write a whole number"),
    ],
)
def test_values_that_cannot_be_used_are_named(options: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        SlurmLauncher(request(tmp_path, slurm=options))


def test_without_a_gpu_asked_for_the_device_is_the_cpu(tmp_path: Path) -> None:
    assert SlurmLauncher(request(tmp_path)).pick_device("auto") == "cuda"
    assert SlurmLauncher(request(tmp_path, slurm={"gpus": "0"})).pick_device("auto") == "cpu"
    assert SlurmLauncher(request(tmp_path)).pick_device("cpu") == "cpu"


def test_what_is_asked_of_sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake_slurm.install(tmp_path / "bin")["PATH"])
    options = {
        "partition": "gpu",
        "time": "2h",
        "memory": "32",
        "cpus": "8",
        "account": "lab",
        "setup": "module load x",
    }
    here = request(tmp_path, slurm=options, device="cuda", gpus_per_run=2)
    launcher = SlurmLauncher(here)
    launcher.prepare(here)
    script = launcher._executor._executor._make_submission_file_text("true", "0")
    for line in ("partition=gpu", "time=120", "mem=32GB", "cpus-per-task=8", "account=lab", "gpus-per-node=2"):
        assert f"#SBATCH --{line}\n" in script, script
    assert "\nmodule load x\n" in script


def test_a_machine_outside_of_any_cluster_is_one_line(tmp_path: Path, drawn_cache: Path) -> None:
    place = with_cache(tmp_path, drawn_cache)
    assert_one_line(harness(*tiny("segnet"), *SLURM, cwd=place), "launcher slurm", "srun")


@pytest.mark.slow
def test_jobs_of_this_machine(tmp_path: Path, drawn_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """submitit's local executor: one run that finishes, one that fails."""
    monkeypatch.setattr(SlurmLauncher, "cluster", "local")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    diverging = tiny_protocol(lr="1e30", optimizer="sgd")
    specs = [spec(architecture="segnet-basic"), spec(architecture="segnet-basic", seed=1, protocol=diverging)]
    here, said = request(with_cache(tmp_path, drawn_cache)), io.StringIO()
    with SlurmLauncher(here) as launcher:
        result = launcher.execute(specs, here, Console(file=said, width=200))
    assert (result.done, result.failed) == (1, 1), said.getvalue()
    assert "iteration 4 of 4" in said.getvalue()
    runs, _ = load_runs(here.results)
    assert {run.record.status for run in runs} == {"finished", "failed"}


@pytest.mark.slow
def test_ctrl_c_takes_jobs_back_and_the_same_command_goes_on(tmp_path: Path, drawn_cache: Path) -> None:
    (tmp_path / "place").mkdir()
    variables, place = fake_slurm.install(tmp_path / "bin"), with_cache(tmp_path / "place", drawn_cache)
    arguments = [*tiny("segnet-basic", iterations=100_000), "--override", "eval_interval=100000", *SLURM]
    with Harness(*arguments, cwd=place, variables=variables) as running:
        running.wait_for(lambda: list(place.glob("work/runs/*/position.json")))
        os.kill(running.pid, signal.SIGINT)
        done = running.done(120.0)
    assert done.returncode == 130, done
    assert "stopped at iteration" in done.stdout
    assert list(place.glob("work/runs/*/checkpoint.pt"))
    with Harness(*arguments, cwd=place, variables=variables) as again:
        again.wait_for(lambda: "goes on from iteration" in again.said)
        os.kill(again.pid, signal.SIGINT)
        assert again.done(120.0).returncode == 130


@pytest.mark.slow
def test_a_job_that_reaches_its_time_limit_is_queued_again(tmp_path: Path, drawn_cache: Path) -> None:
    """SLURM sends SIGUSR2 before the end, as submitit asks it to."""
    (tmp_path / "place").mkdir()
    variables, place = fake_slurm.install(tmp_path / "bin"), with_cache(tmp_path / "place", drawn_cache)
    arguments = [*tiny("segnet-basic", iterations=60), "--override", "eval_interval=60", *SLURM]
    with Harness(*arguments, cwd=place, variables=variables) as running:
        running.wait_for(lambda: list(place.glob("work/runs/*/position.json")))
        (pid,) = Path(variables["FAKE_SLURM"]).glob("*/pid")
        os.kill(int(pid.read_text()), signal.SIGUSR2)
        done = running.done()
    assert done.returncode == 0, done
    assert "it was stopped where it ran (1 of 20 times allowed); goes on from its last checkpoint" in done.stdout
    assert "goes on from iteration" in done.stdout
    runs, _ = load_runs(place / "results")
    assert [run.record.status for run in runs] == ["finished"]
    assert not list(place.glob("*/.cluster-*"))
