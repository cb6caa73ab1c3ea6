"""The Python interface: what `import harness` offers, and that it costs nothing until it is called."""

from pathlib import Path

import pytest

import harness
from harness.system.errors import UserError


def test_what_it_offers_is_there() -> None:
    assert set(harness.__all__) <= set(dir(harness))


def test_frames_of_committed_records() -> None:
    results = Path(__file__).parents[2] / "results"
    found = harness.load_results(results)
    assert {"run_id", "split", "miou"} <= set(found.columns) and len(found) > 0
    assert len(harness.load_measurements(str(results))) > 0


def test_run_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = harness.run(
        "segnet", suite="quick", iterations=50, override=["lr=0.01"], measure=False, tensorboard=False, dry_run=True,
        results=tmp_path,
    )  # fmt: skip
    assert code == 0
    said = capsys.readouterr().out
    assert "lr=0.01" in said and "iterations=50" in said and "1 run: " in said
    with pytest.raises(UserError, match="device 'gpu'"):
        harness.load_model(tmp_path, device="gpu")
    with pytest.raises(UserError, match="precision 'fp16'"):
        harness.load_model(tmp_path, precision="fp16")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="quik"):
        harness.run("segnet", suite="quik")
    with pytest.raises(Exception, match="siute"):
        harness.run("segnet", siute="quick")


def test_several_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {"suite": "quick", "measure": False, "dry_run": True, "results": tmp_path}
    assert (
        harness.run(["segnet", "fcn8s"], seeds=[0, 2], size=(90, 120), override=("lr=0.01", "dropout=0.5"), **plan) == 0
    )
    said = capsys.readouterr().out
    assert all(f"{name}-roads-s{seed}-" in said for name in ("segnet", "fcn8s") for seed in (0, 2))
    assert "size=90x120" in said and "lr=0.01" in said and "dropout=0.5" in said
    with pytest.raises(UserError, match=r"protocol=\['a', 'b'\]: the option takes one value"):
        harness.run("segnet", protocol=["a", "b"], **plan)
