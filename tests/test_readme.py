"""README's headline: its table is what the committed reports say."""

import csv
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SCORES = ("G_ours", "C_ours", "mIoU_ours", "BF_ours")
COSTS = ("model_size_mb", "training_allocated_mib", "inference_allocated_mib", "forward_ms")
ENERGY = "forward_b1_above_idle_mj_per_image"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def linked(pattern: str) -> Path:
    """The one file of the repository that README links to by a path of this pattern."""
    found = set(re.findall(rf"\(<?({pattern})>?\)", README))
    assert len(found) == 1, found
    path = ROOT / unquote(found.pop())
    assert path.is_file(), path
    return path


def headline() -> dict[str, list[str]]:
    """Cells of README's table of results, by network."""
    table = README.split("## Results so far")[1].split("\n## ")[0]
    lines = [line.strip("| \n").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines[2:]}


def test_the_headline_is_what_the_reports_say() -> None:
    scores = rows_of(linked(r"reports/camvid/[^)>]*memory-accuracy\.png").with_name("table3.csv"))
    table6 = linked(r"reports/camvid/table6-[^)>]*\.csv")
    full = table6.with_name(table6.name.replace("table6", "resources-full"))
    costs = {row["network"]: row for row in rows_of(table6)}
    energy = {row["network"]: row[ENERGY] for row in rows_of(full)}
    best = {row["network"]: row for row in scores if row["checkpoint"] == "best by val" and row["G_ours"]}
    table = headline()
    assert list(table) == [name for name in best if name in costs]
    for name, cells in table.items():
        expected = [best[name][column] for column in SCORES] + [costs[name][column] for column in COSTS]
        expected.append(str(float(energy[name]) / 1000))  # J, where the reports have mJ
        for cell, value in zip(cells, expected, strict=True):
            decimals = len(cell.partition(".")[2])
            close = pytest.approx(float(value), abs=0.5001 * 10**-decimals)
            assert float(cell.replace(",", "")) == close, name


def test_the_page_says_that_the_run_was_a_reduced_one() -> None:
    row = rows_of(linked(r"reports/camvid/[^)>]*memory-accuracy\.png").with_name("table3.csv"))[0]
    words = " ".join(README.split())
    assert not row["reduced"] or ("**reduced**" in words and row["reduced"].split(";")[0] in words)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(<?([^)>#]+)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert "://" in target or (ROOT / unquote(target)).exists()
