"""README's headline: its table is what the committed reports say."""

import csv
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.harness.report.links import dead_links

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
GROUP = ROOT / "reports" / "camvid" / "camvid-half-1-953d0dbb"
COSTS = ROOT / "reports" / "camvid" / "table6-cuda-nvidia-h200-360x480-fp32-lease.csv"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def headline() -> dict[str, list[str]]:
    """Cells of README's table of results, by network; of a score with its interval three numbers."""
    table = README.split("| CamVid, test |")[1].split("\n\n")[0]
    lines = [line.strip("| \n").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return {cells[0]: re.findall(r"[\d.,]*\d", " ".join(cells[1:])) for cells in lines if cells[0][0].isalpha()}


def test_the_headline_is_what_the_reports_say() -> None:
    assert "(reports/memory-accuracy.png)" in README
    scores = {row["network"]: row for row in rows_of(GROUP / "table3.csv") if row["checkpoint"] == "end"}
    costs = {row["network"]: row for row in rows_of(COSTS)}
    ran = {name for name, row in scores.items() if row["mIoU_ours"] and name in costs}
    assert set(headline()) == ran
    for name, numbers in headline().items():
        score, cost = scores[name], costs[name]
        expected = [score[f"mIoU_{column}"] for column in ("ours", "low", "high", "paper")]
        expected += [score["BF_ours"], score["BF_paper"], str(float(cost["parameters"]) / 1e6)]
        expected += [cost["inference_allocated_mib"], cost["forward_ms"], cost["energy_j"]]
        assert len(numbers) == len(expected), name
        for number, value in zip(numbers, expected, strict=True):
            decimals = len(number.partition(".")[2])
            assert float(number.replace(",", "")) == pytest.approx(float(value), abs=0.5001 * 10**-decimals), name


def test_the_page_says_that_the_runs_were_reduced_ones() -> None:
    row = rows_of(GROUP / "table3.csv")[0]
    words = " ".join(README.split())
    assert not row["reduced"] or ("**Reduced runs**" in words and row["reduced"].split(";")[0] in words)


def test_links_of_the_committed_reports_lead_somewhere() -> None:
    pages = [path for path in (ROOT / "reports").rglob("*.md") if "local" not in path.parts]
    assert {path.name: dead for path in pages if (dead := dead_links(path.read_text("utf-8"), path.parent))} == {}


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(<?([^)>#]+)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert "://" in target or (ROOT / unquote(target)).exists()
