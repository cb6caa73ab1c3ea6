from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import architectures
from harness.cli.app import app
from harness.cli.measure import measure
from harness.launchers import steps
from harness.launchers.steps import PlanResult
from harness.profiling.scheduler import Request
from harness.system.errors import UserError
from tests.harness.commands import assert_one_line, harness


class Requests:
    """What `measure` asks for, by the options that it is given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
        self._asked: list[Request] = []
        self._results = results
        monkeypatch.setattr(steps, "measure_all", self._measure_all)

    def __call__(self, names: Sequence[str] = ("segnet",), **options: Any) -> list[Request]:
        values = {"size": ["90x120"], "device": "cpu", "threads": 1, "results": self._results}
        with pytest.raises(typer.Exit):
            measure(list(names), **{**values, **options})
        return self._asked

    def _measure_all(self, requests: list[Request], results: Path, *_: object, **__: object) -> PlanResult:
        assert results == self._results
        self._asked = requests
        return PlanResult()


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Requests:
    return Requests(monkeypatch, tmp_path)


def test_every_combination_is_a_record_of_its_own(requests: Requests) -> None:
    found = requests(["segnet", "fcn8s"], size=["90x120", "64x64"], variant=["plain", "folded+channels-last"])
    assert [request.spec.file_name for request in found] == [
        "segnet-90x120-k11-fp32-cpu.json",
        "fcn8s-90x120-k11-fp32-cpu.json",
        "segnet-90x120-k11-fp32-channels-last-folded-cpu.json",
        "fcn8s-90x120-k11-fp32-channels-last-folded-cpu.json",
        "segnet-64x64-k11-fp32-cpu.json",
        "fcn8s-64x64-k11-fp32-cpu.json",
        "segnet-64x64-k11-fp32-channels-last-folded-cpu.json",
        "fcn8s-64x64-k11-fp32-channels-last-folded-cpu.json",
    ]


def test_all_architectures_of_the_paper_are_the_default(requests: Requests) -> None:
    assert [one.spec.architecture for one in requests(())] == architectures.names(baselines=False)


def test_each_optimizer_is_a_record_of_its_own(requests: Requests) -> None:
    found = requests(optimizer=["sgd,adamw"], precision=["bf16", "bf16"])
    assert [request.spec.file_name for request in found] == [
        "segnet-90x120-k11-bf16-cpu.json",
        "segnet-90x120-k11-bf16-adamw-cpu.json",
    ]
    assert [request.spec.optimizer for request in found] == ["sgd", "adamw"]
    assert {key.phase for key in found[1].keys} == {"shapes", "training-memory", "training-step"}


def test_phases_and_step_batch_choose_cells(requests: Requests) -> None:
    [found] = requests(phase=["training-step, shapes"], step_batch=12)
    assert [str(key) for key in found.keys] == ["shapes at batch 1", "training-step at batch 12"]


def test_large_batches_can_be_left_out(requests: Requests) -> None:
    [found] = requests(phase=["forward", "training-memory", "training-step"], up_to_batch=1)
    assert [str(key) for key in found.keys] == ["training-memory at batch 4", "forward at batch 1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": ["plain+sideways"]}, "variant 'sideways': must be one of plain, channels-last"),
        ({"variant": ["adamw"]}, "variant 'adamw': must be one of plain, channels-last"),
        ({"optimizer": ["lion"]}, "optimizer 'lion': must be one of sgd, adamw"),
        ({"phase": ["lunch"]}, "phase 'lunch': must be one of shapes"),
        ({"preset": "huge"}, "preset 'huge': must be one of full, lease, cpu, quick"),
        ({"precision": ["fp16"]}, "precision 'fp16': must be one of"),
        ({"precision": ["tf32"]}, "precision tf32 exists on a GPU only"),
        ({"size": ["90"]}, "size '90'"),
        ({"names": ["segmet"]}, "did you mean 'segnet'"),
    ],
)
def test_bad_options_are_one_line(requests: Requests, changes: dict[str, Any], message: str) -> None:
    with pytest.raises((UserError, architectures.ArchitectureError), match=message) as caught:
        requests(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_measuring_by_the_command_line_and_again(tmp_path: Path) -> None:
    command = ["measure", "bilinear-interpolation", "--size", "32x32", "--preset", "quick"]
    command += ["--phase", "shapes", "--phase", "forward", "--up-to-batch", "1"]
    command += ["--threads", "1", "--results", str(tmp_path)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "2 measurements taken; 0 were measured before, 0 failed" in first.output
    assert len(list((tmp_path / "measurements").glob("*/*.json"))) == 1
    run = ["run", "bilinear-interpolation", "--size", "32x32", "--threads", "2", "--results", str(tmp_path)]
    refused = harness(*run, "--work", str(tmp_path / "work"), cwd=tmp_path)
    assert_one_line(refused, "was measured on 1 threads: choose --threads 1")
    assert not (tmp_path / "work" / "cache").exists()  # nothing was begun
    late = CliRunner().invoke(app, [*command, "--results", str(tmp_path / "late"), "--budget", "0.001s"])
    assert late.exit_code == 75 and "the budget is used up" in late.output
    assert not (tmp_path / "late" / "measurements").exists()
    second = CliRunner().invoke(app, command)
    assert "0 measurements taken; 2 were measured before, 0 failed" in second.output
