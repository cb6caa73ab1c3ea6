"""Suites sunrgbd and nyuv2 from the command line, and the data commands of both."""

from pathlib import Path

import pytest
from rich.console import Console

from harness.cli.report import print_reports
from harness.config.planning import plan
from harness.config.request import RunRequest
from harness.launchers import steps
from harness.launchers.local import LocalLauncher
from tests.datasets import nyu_files
from tests.datasets.sun_files import write_extracted, write_release
from tests.harness.commands import assert_one_line, harness

NYU_FILE, SUN_FILE = "nyu_depth_v2_labeled.mat", "rgbd.cs.princeton.edu/data/SUNRGBD.zip"
DATASETS = [("sunrgbd", SUN_FILE, "SUN RGB-D"), ("nyuv2", NYU_FILE, "NYU Depth v2")]


@pytest.mark.parametrize(("name", "file", "title"), DATASETS)
def test_data_commands(name: str, file: str, title: str, tmp_path: Path) -> None:
    assert_one_line(harness("data", "fetch", name, cwd=tmp_path), file, f"data prepare {name}")
    assert_one_line(harness("data", "prepare", name, cwd=tmp_path), f"no official {title}", "in data")
    if name == "sunrgbd":
        write_release(tmp_path / "official", test=1, train=2)
    else:
        nyu_files.write_release(tmp_path / "official", count=3)
    prepare = ["data", "prepare", name, "--release", "official"]
    done = harness(*prepare, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 pairs made, 0 were there already" in done.stdout
    assert "0 pairs made, 3 were there already" in harness(*prepare, cwd=tmp_path).stdout
    checked = harness("data", "check", name, "--data-root", "data", cwd=tmp_path)
    assert checked.returncode == 1
    assert "images with labels, expected" in checked.stdout


def test_what_needs_no_preparing_says_so(tmp_path: Path) -> None:
    assert_one_line(harness("data", "prepare", "camvid", cwd=tmp_path), "needs no preparing")


@pytest.mark.parametrize(("name", "file", "title"), DATASETS)
def test_plan_of_the_suite(name: str, file: str, title: str, tmp_path: Path) -> None:
    if name == "sunrgbd":
        write_extracted(tmp_path / "data", test=(1,), train=(1, 191))
    else:
        nyu_files.write_extracted(tmp_path / "data")
    arguments = ["run", "--all", "--suite", name, "--dry-run", "--encoder-weights", "none", "--data-root"]
    done = harness(*arguments, "data", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # five networks, SegNet balanced too, DeepLab refined by the dense CRF
    assert "7 runs" in done.stdout
    assert done.stdout.count("dense-crf") == 1
    assert done.stdout.count("class_weighting=median") == 1
    assert_one_line(harness(*arguments, "none", cwd=tmp_path), f"no {title} in none")


@pytest.mark.slow
def test_sunrgbd_end_to_end(tmp_path: Path) -> None:
    """A reduced run on few images of the real layout: marked by both, with Tables 4 and 5."""
    write_extracted(tmp_path / "data", test=(1, 2), train=(1, 2, 3, 4, 191))
    request = RunRequest(
        suite="sunrgbd",
        architectures=("segnet",),
        size="32x40",
        iterations=3,
        encoder_weights=("none",),
        data_root=str(tmp_path / "data"),
        threads=1,
        results=tmp_path / "results",
        work=tmp_path / "work",
    )
    specs, console = plan(request).specs, Console()
    steps.prepare_data(specs, request, console)
    assert LocalLauncher(request).execute(specs, request, console).done == 2  # balanced too
    print_reports(tmp_path / "results", tmp_path / "reports", ["sunrgbd"], None)
    (path,) = (tmp_path / "reports" / "sunrgbd").glob("*/README.md")
    page = path.read_text()
    assert "4 of 5,025 train images" in page and "input 32 x 40 instead of 360 x 480" in page
    assert "2 of 5,050 test images" in page
    assert "SegNet (median frequency balancing)" in path.with_name("table4.csv").read_text()
    assert "class average" in path.with_name("table5.csv").read_text()


@pytest.mark.slow
def test_nyuv2_end_to_end(tmp_path: Path) -> None:
    """From the command line, on few images: with both tables, the mark, and no image in the report."""
    nyu_files.write_extracted(tmp_path / "data")
    arguments = ["run", "segnet", "--suite", "nyuv2", "--data-root", "data", "--encoder-weights", "none"]
    arguments += ["--iterations", "3", "--size", "32x40", "--threads", "1", "--no-measure"]
    done = harness(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (tmp_path / "reports" / "nyuv2").glob("*/README.md")
    page = path.read_text()
    assert "4 of 716 train images" in page and "4 of 654 test images" in page
    assert "not like for like: 795 of 5285 training images, a part of SUN RGB-D" in page
    assert "SegNet (median frequency balancing)" in page
    assert path.with_name("table5.csv").exists()
    pictures = tmp_path / "reports" / "nyuv2"
    assert list(pictures.glob("*/*predictions.png")) and not list(pictures.glob("*/*panel*.png"))
