from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import architectures
from harness.cli import measure as measure_commands
from harness.cli.app import app
from harness.cli.measure import MeasureOptions
from harness.profiling.scheduler import Request
from harness.system.errors import UserError


def requests(**changes: Any) -> list[Request]:
    values: dict[str, Any] = {
        "names": ("segnet",),
        "sizes": ("90x120",),
        "classes": 11,
        "device": "cpu",
        "precisions": ("fp32",),
        "variants": ("plain",),
        "optimizers": ("sgd",),
        "phases": (),
        "step_batch": 5,
        "most": None,
        "budget": None,
        "preset": None,
        "force": False,
        "threads": 1,
        "results": Path("results"),
    }
    return measure_commands._requests(MeasureOptions(**{**values, **changes}), "cpu")


def test_every_combination_is_a_record_of_its_own() -> None:
    found = requests(names=("segnet", "fcn8s"), sizes=("90x120", "64x64"), variants=("plain", "folded+channels-last"))
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


def test_all_architectures_of_the_paper_are_the_default() -> None:
    assert [one.spec.architecture for one in requests(names=())] == architectures.names(baselines=False)


def test_each_optimizer_is_a_record_of_its_own() -> None:
    found = requests(optimizers=("sgd", "adamw"), precisions=("bf16",))
    assert [request.spec.file_name for request in found] == [
        "segnet-90x120-k11-bf16-cpu.json",
        "segnet-90x120-k11-bf16-adamw-cpu.json",
    ]
    assert [request.spec.optimizer for request in found] == ["sgd", "adamw"]
    assert {key.phase for key in found[1].keys} == {"shapes", "training-memory", "training-step"}


def test_phases_and_step_batch_choose_cells() -> None:
    [found] = requests(phases=("training-step", "shapes"), step_batch=12)
    assert [str(key) for key in found.keys] == ["shapes at batch 1", "training-step at batch 12"]


def test_large_batches_can_be_left_out() -> None:
    [found] = requests(phases=("forward", "training-memory", "training-step"), most=1)
    assert [str(key) for key in found.keys] == ["training-memory at batch 4", "forward at batch 1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ("plain+sideways",)}, "variant 'sideways': must be one of plain, channels-last"),
        ({"variants": ("adamw",)}, "variant 'adamw': must be one of plain, channels-last"),
        ({"optimizers": ("lion",)}, "optimizer 'lion': must be one of sgd, adamw"),
        ({"phases": ("lunch",)}, "phase 'lunch': must be one of shapes"),
        ({"preset": "huge"}, "preset 'huge': must be one of full, lease, cpu, quick"),
        ({"precisions": ("fp16",)}, "precision 'fp16': must be one of"),
        ({"precisions": ("tf32",)}, "precision tf32 exists on a GPU only"),
        ({"sizes": ("90",)}, "size '90'"),
        ({"names": ("segmet",)}, "did you mean 'segnet'"),
    ],
)
def test_bad_options_are_one_line(changes: dict[str, Any], message: str) -> None:
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
    late = CliRunner().invoke(app, [*command, "--results", str(tmp_path / "late"), "--budget", "0.001s"])
    assert late.exit_code == 75 and "the budget is used up" in late.output
    assert not (tmp_path / "late" / "measurements").exists()
    second = CliRunner().invoke(app, command)
    assert "0 measurements taken; 2 were measured before, 0 failed" in second.output
