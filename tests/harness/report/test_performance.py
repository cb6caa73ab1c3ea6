"""The report on the comparison with the PyTorch baseline, from made-up records with figures to check by hand."""

from pathlib import Path

import pytest

from harness.records.speed import PERFORMANCE, PerformanceRecord, Target
from harness.report.performance import frame, performance_files, targets_table
from tests.harness.records.test_speed import ALONE, FAILED, entry, record


def made_up(size: tuple[int, int] = (360, 480)) -> PerformanceRecord:
    """An entry of each kind: met, missed, without a target, without an opponent, failed."""
    return record(
        entry("training-fp32"),
        entry("reading", ours_s=(0.01, 0.012), opponent_s=(1.0, 1.0), flags=("the machine was busy",)),
        entry("inference", target=None, notes=()),
        entry("help", **ALONE, ours_s=(0.2,), target=Target(quantity="seconds", at_most=0.5)),
        entry("report", **ALONE, ours_s=(11.0,), target=Target(quantity="seconds", at_most=10)),
        entry("folded", **FAILED),
        size=size,
    )


def test_figures_are_medians_and_ratios_those_of_rounds() -> None:
    rows = frame(made_up()).set_index("entry")
    # 20/25, 22/22, 21/20
    assert list(rows.loc["training-fp32", ["ratio_low", "ratio", "ratio_high"]]) == pytest.approx([0.9, 1.0, 1.025])
    assert rows.loc["training-fp32", "ours_s"] == 21.0 and rows.loc["training-fp32", "opponent_s"] == 22.0
    assert rows.loc["reading", "ratio"] == pytest.approx(0.011)
    assert list(rows["met"].fillna("")) == ["NOT met", "met", "", "met", "NOT met", "NOT met"]


def test_each_size_has_rows_a_plot_and_its_failures(tmp_path: Path) -> None:
    PERFORMANCE.save(tmp_path, made_up((90, 120)))
    PERFORMANCE.save(tmp_path, made_up())
    files = performance_files(tmp_path)
    assert list(files) == ["README.md", "performance.csv", "cpu-made-up-360x480.png", "cpu-made-up-90x120.png"]
    page = files["README.md"].decode()
    assert "No module named 'folding'" in page and "the machine was busy" in page
    assert files["performance.csv"].decode().count("\n") == 1 + 2 * 6
    assert performance_files(tmp_path) == files


def test_what_a_sample_is_is_said_of_each_size_where_it_differs(tmp_path: Path) -> None:
    PERFORMANCE.save(
        tmp_path, record(entry("reading"), entry("training-fp32", what="5 images", opponent="the plain way"))
    )
    PERFORMANCE.save(tmp_path, record(entry("reading"), entry("training-fp32", what="2 images"), size=(90, 120)))
    page = performance_files(tmp_path)["README.md"].decode()
    assert "- Reading: one sample. Against the PyTorch baseline.\n" in page
    for size, images in (("360 x 480", 5), ("90 x 120", 2)):
        assert f"input {size}: {images} images. Against the PyTorch baseline.\n" in page


def test_targets_of_several_machines_stand_side_by_side() -> None:
    faster = entry("training-fp32", ours_s=(10.0, 11.0, 10.0))
    other = record(faster, entry("reading", target=None), device_name="Another CPU", device_slug="cpu-another")
    found = targets_table([other, made_up()]).set_index("what")
    theirs, own = "Another CPU, 2 threads, 360 x 480", "Made-up CPU, 2 threads, 360 x 480"
    assert found.loc["Training-fp32", [theirs, own]].tolist() == ["0.500: met", "1.00: NOT met"]
    assert found.loc["Reading", [theirs, own]].tolist() == ["–", "0.0110: met"]
    assert found.loc["Folded", own] == "n/a: NOT met"
