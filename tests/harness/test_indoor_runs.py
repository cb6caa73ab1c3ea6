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


def test_fetch_names_the_addresses(tmp_path: Path) -> None:
    done = harness("data", "fetch", "sunrgbd", cwd=tmp_path)
    assert_one_line(done, "rgbd.cs.princeton.edu/data/SUNRGBD.zip", "data prepare sunrgbd")


def test_prepare_from_the_command_line(tmp_path: Path) -> None:
    assert_one_line(harness("data", "prepare", "sunrgbd", cwd=tmp_path), "no official SUN RGB-D release in data")
    assert_one_line(harness("data", "prepare", "camvid", cwd=tmp_path), "needs no preparing")
    write_release(tmp_path / "official", test=1, train=2)
    done = harness("data", "prepare", "sunrgbd", "--release", "official", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 pairs made, 0 were there already" in done.stdout
    again = harness("data", "prepare", "sunrgbd", "--release", "official", cwd=tmp_path)
    assert "0 pairs made, 3 were there already" in again.stdout
    checked = harness("data", "check", "sunrgbd", "--data-root", "data", cwd=tmp_path)
    assert checked.returncode == 1
    assert "test: 1 images with labels, expected 5050" in checked.stdout


def test_plan_of_the_suite(tmp_path: Path) -> None:
    write_extracted(tmp_path / "data", test=(1,), train=(1, 191))
    arguments = ["run", "--all", "--suite", "sunrgbd", "--data-root", "data", "--dry-run"]
    done = harness(*arguments, "--encoder-weights", "none", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # five networks, SegNet balanced too, DeepLab refined by the dense CRF
    assert "7 runs" in done.stdout
    assert done.stdout.count("dense-crf") == 1
    assert done.stdout.count("class_weighting=median") == 1
    missing = harness("run", "--suite", "sunrgbd", "--data-root", "none", "--dry-run", cwd=tmp_path)
    assert_one_line(missing, "no SUN RGB-D in none")


@pytest.mark.slow
def test_sunrgbd_end_to_end(tmp_path: Path) -> None:
    """A reduced run on few images of the real layout: marked by both, with Tables 4 and 5."""
    write_extracted(tmp_path / "data", test=(1, 2), train=(1, 2, 3, 4, 191))
    request = RunRequest(
        suite="sunrgbd",
        architectures=("segnet", "deeplab-largefov"),
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
    assert LocalLauncher(request).execute(specs, request, console).done == 4  # the dense CRF refines DeepLab
    assert print_reports(tmp_path / "results", tmp_path / "reports", ["sunrgbd"], None) == 0
    (path,) = (tmp_path / "reports" / "sunrgbd").glob("*/README.md")
    page = path.read_text()
    assert "4 of 5,025 train images" in page and "input 32 x 40 instead of 360 x 480" in page
    assert "2 of 5,050 test images" in page
    assert "SegNet (median frequency balancing)" in path.with_name("table4.csv").read_text()
    assert "class average" in path.with_name("table5.csv").read_text()


class TestNyuV2:
    def test_data_commands(self, tmp_path: Path) -> None:
        assert_one_line(
            harness("data", "fetch", "nyuv2", cwd=tmp_path), "nyu_depth_v2_labeled.mat", "data prepare nyuv2"
        )
        assert_one_line(harness("data", "prepare", "nyuv2", cwd=tmp_path), "no official NYU Depth v2 in data")
        nyu_files.write_release(tmp_path / "official", count=3)
        arguments = ["data", "prepare", "nyuv2", "--release", "official"]
        done = harness(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "3 pairs made, 0 were there already" in done.stdout
        assert "0 pairs made, 3 were there already" in harness(*arguments, cwd=tmp_path).stdout

    def test_plan_of_the_suite(self, tmp_path: Path) -> None:
        nyu_files.write_extracted(tmp_path / "data")
        arguments = ["run", "--all", "--suite", "nyuv2", "--data-root", "data", "--dry-run"]
        done = harness(*arguments, "--encoder-weights", "none", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "7 runs" in done.stdout
        assert done.stdout.count("dense-crf") == 1
        assert done.stdout.count("class_weighting=median") == 1
        missing = harness("run", "--suite", "nyuv2", "--data-root", "none", "--dry-run", cwd=tmp_path)
        assert_one_line(missing, "no NYU Depth v2 in none")

    @pytest.mark.slow
    def test_end_to_end(self, tmp_path: Path) -> None:
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
