"""The command line as a user meets it: real processes, exit codes, one line for what can be mended."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli.options import writable
from tests.datasets.conftest import write_camvid
from tests.harness.commands import ROOT, assert_one_line, harness, tiny, with_cache

# Each of them takes longer to import than the answer to `--help` may: they are what makes a command slow.
SLOW_TO_IMPORT = ("torch", "torchvision", "pandas", "scipy", "matplotlib", "jinja2", "plotly", "timm")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["run", "--help"],
        ["report", "--help"],
        ["site", "--help"],
        ["predict", "--help"],
        ["run", "--all", "--dry-run", "--override", "loss=dice", "--override", "optimizer=lion"],
    ],
    ids=" ".join,
)
def test_answers_at_once(arguments: list[str]) -> None:
    """By what is imported: a time, even the processor's own, is twice as long beside other work."""
    code = f"import sys; sys.argv = {['harness', *arguments]}; import harness.__main__ as m\n"
    code += "try: m.main()\nexcept SystemExit as e: assert not e.code\n"
    code += f"found = {set(SLOW_TO_IMPORT)} & set(sys.modules)\nassert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=ROOT)


def test_list_names_everything() -> None:
    shown = harness("list").stdout
    for name in ("segnet", "fcn8s-bilinear", "deconvnet", "roads", "camvid-epochs@2", "quick"):
        assert name in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "segnett"], ["'segnett'", "did you mean 'segnet'"]),
        (["run", "--suite", "kitti"], ["unknown suite 'kitti'", "known: "]),
        (["run", "--size", "20x30"], ["20x30 is too small", "32x32"]),
        (["run", "--size", "big"], ["height x width"]),
        (["run", "--size", "400x500"], ["larger than roads"]),
        (["run", "--precision", "fp8"], ["precision 'fp8'", "bf16"]),
        (["run", "--precision", "tf32", "--device", "cpu"], ["tf32 exists on a GPU only"]),
        (["measure", "segnet", "--runtime", "torch", "--phase", "forward"], ["--phase means nothing with --runtime"]),
        (["run", "--compile", "fast"], ["compile 'fast'", "default, graphs"]),
        (["run", "--compile", "graphs", "--device", "cpu"], ["CUDA graphs need a CUDA device"]),
        (["run", "--precision", "tf32", "--device", "cpu", "--dry-run"], ["tf32 exists on a GPU only"]),
        (["run", "--compile", "graphs", "--device", "cpu", "--dry-run"], ["CUDA graphs need a CUDA device"]),
        (["run", "--size", "48x64", "--override", "size=24x32"], ["size is given twice"]),
        (["run", "--seeds", "one"], ["seeds 'one'"]),
        (["run", "--override", "lr"], ["field=value"]),
        (["run", "--override", "rate=1"], ["no such field"]),
        (["run", "--protocol", "camvid@2"], ["not of suite 'quick'"]),
        (["run", "--override", "optimizer=adamm", "--dry-run"], ["unknown optimizer 'adamm'", "did you mean 'adam'"]),
        (["run", "--launcher", "locale", "--dry-run"], ["unknown launcher 'locale'", "did you mean 'local'"]),
        (["run", "--device", "tpu"], ["device 'tpu'"]),
        (["run", "--encoder-weights", "missing.pth"], ["missing.pth", "No such file"]),
        (["run", "--suite", "camvid", "--data-root", "nowhere", "--encoder-weights", "none"], ["data fetch camvid"]),
        (["run", "--results", "README.md/results"], ["--results", "Not a directory"]),
        (["measure", "nothing"], ["unknown architecture"]),
        (["check", "nothing"], ["unknown architecture"]),
        (["report", "--results", "nowhere"], ["no records"]),
        (["report", "--suite", "kitti"], ["unknown suite"]),
        (["data", "check", "kitti"], ["kitti"]),
        (["data", "check", "camvid", "--data-root", "nowhere"], ["data fetch camvid"]),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments: list[str], says: list[str], tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    assert_one_line(harness(*arguments, cwd=tmp_path), *says)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["README.md"]


def test_commands_that_begin_together_do_not_take_each_other_s_trial_for_a_folder_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "results"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(writable, [folder] * 4000, ["--results"] * 4000)) == {folder}
    assert not list(folder.iterdir())


def test_a_label_out_of_range_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "data", size=(360, 480)).parent
    bad = root / "CamVid" / "valannot" / "val_1.png"
    Image.fromarray(np.full((360, 480), 77, np.uint8)).save(bad)
    arguments = ["run", "segnet", "--suite", "camvid", "--encoder-weights", "none", "--data-root", str(root)]
    done = harness(*arguments, cwd=tmp_path)
    assert_one_line(done, str(bad), "77")


def test_unreadable_weights_are_one_line(tmp_path: Path, drawn_cache: Path) -> None:
    weights = tmp_path / "broken.safetensors"
    weights.write_bytes(b"\x00" * 100)
    done = harness(*tiny("segnet"), "--encoder-weights", str(weights), cwd=with_cache(tmp_path, drawn_cache))
    assert_one_line(done, "broken.safetensors")


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path) -> None:
    done = harness("run", "--all", "--seeds", "0,1", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "14 runs" in done.stdout
    assert done.stdout.count("to do") == 14
    assert "14 of 14 runs have no estimate: nothing was measured on" in done.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_run_then_run_again_then_report_the_same_bytes(tmp_path: Path, drawn_cache: Path) -> None:
    arguments = tiny("bilinear-interpolation")
    trained = harness(*arguments, "--no-measure", cwd=with_cache(tmp_path, drawn_cache))
    assert trained.returncode == 0, trained.stderr
    assert not (tmp_path / "results" / "measurements").exists()
    first = harness(*arguments, "--report", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("nothing to do") == 1
    assert "5 measurements taken; 0 were measured before" in first.stdout
    page = tmp_path / "reports" / "quick" / "README.md"
    assert "Bilinear-Interpolation" in page.read_text()
    written = {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()}
    second = harness(*arguments, cwd=tmp_path)
    assert second.returncode == 0
    assert "0 measurements taken; 5 were measured before" in second.stdout
    for path in written:
        path.unlink()
    assert harness("report", cwd=tmp_path).returncode == 0
    assert {path: path.read_bytes() for path in page.parent.rglob("*") if path.is_file()} == written


@pytest.mark.slow
def test_a_failed_run_is_a_row(tmp_path: Path, drawn_cache: Path) -> None:
    changes = ["--override", "optimizer=sgd", "--override", "lr=1e30"]
    diverging = [*tiny("bilinear-interpolation", report=True), "--no-measure", *changes]
    done = harness(*diverging, cwd=with_cache(tmp_path, drawn_cache))
    assert done.returncode == 1
    assert done.stdout.count("FAILED") == 1
    (page,) = (tmp_path / "reports" / "quick").glob("*/README.md")
    assert "not finite" in page.read_text()
    assert harness(*diverging, "--dry-run", cwd=tmp_path).stdout.count("failed before") == 1
