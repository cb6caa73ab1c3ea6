"""Records of the comparison with the PyTorch baseline: ratios, targets, joining."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.records.speed import PERFORMANCE, Entry, PerformanceRecord, Spread, Target, joined, spread
from harness.system.errors import UserError

ALONE: dict[str, Any] = {"opponent": None, "opponent_s": (), "precision": None, "images": None, "notes": ()}
FAILED: dict[str, Any] = {"ours_s": (), "opponent_s": (), "failure": "No module named 'folding'"}


def entry(name: str = "training-fp32", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "name": name,
        "title": name.capitalize(),
        "what": "one sample",
        "opponent": "the PyTorch baseline",
        "precision": "fp32",
        "images": 5,
        "ours_s": (20.0, 22.0, 21.0),
        "opponent_s": (25.0, 22.0, 20.0),
        "target": Target(quantity="ratio", at_most=0.93),
        "notes": ("most of it is in convolutions",),
        "flags": (),
        "measured_at": "2026-01-01T00:00:00+00:00",
        "wall_s": 30.0,
        "load_average_before": 0.1,
        "load_average_after": None,
        **changes,
    }
    return Entry(**values)


def record(*entries: Entry, size: tuple[int, int] = (360, 480), **changes: Any) -> PerformanceRecord:
    values: dict[str, Any] = {
        "device": "cpu",
        "device_name": "Made-up CPU",
        "device_slug": "cpu-made-up",
        "threads": 2,
        "size": size,
        "reduced": size != (360, 480),
        "entries": entries,
        "environments": ({"torch": "2.15.0", "git_commit": "a" * 40, "git_dirty": True},),
        "settings": {},
        **changes,
    }
    return PerformanceRecord(**values)


def test_ratios_are_taken_within_a_round() -> None:
    assert entry().ratios == (0.8, 1.0, 1.05)
    found = spread(entry().ratios)
    # at 1/4 and 3/4 of the way from the first to the last
    assert (found.low, found.median, found.high) == pytest.approx((0.9, 1.0, 1.025))
    assert spread([3.0]) == Spread(low=3.0, median=3.0, high=3.0)
    with pytest.raises(ValueError, match="no values"):
        spread([])


@pytest.mark.parametrize(
    ("quantity", "at_most", "met"),
    [("ratio", 1.0, True), ("ratio", 0.99, False), ("seconds", 21.0, True), ("seconds", 20.9, False)],
)
def test_a_target_is_judged_by_the_median(quantity: Any, at_most: float, met: bool) -> None:
    target = Target(quantity=quantity, at_most=at_most)
    assert entry(target=target).met is met
    assert entry(target=target, **FAILED).met is None
    assert entry(target=None).met is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ours_s": (), "opponent_s": ()},
        {"failure": "yet there are samples"},
        {"opponent_s": (1.0,)},
        {"opponent": None},
        {"ours_s": (1.0, 0.0, 1.0)},
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        entry(**changes)


@pytest.mark.parametrize("changes", [{"reduced": True}, {"environments": ()}, {"entries": (entry(), entry())}])
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(entry(), **changes)


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = record(entry(), entry("help", **ALONE), size=(90, 120))
    assert PERFORMANCE.save(tmp_path, written) == tmp_path / "performance" / "cpu-made-up-90x120.json"
    assert PERFORMANCE.load(tmp_path) == [written]
    (PERFORMANCE.folder(tmp_path) / "broken.json").write_text("{}")
    with pytest.raises(UserError, match=r"broken\.json: not a comparison with the PyTorch baseline"):
        PERFORMANCE.load(tmp_path)


def test_a_newer_entry_takes_the_place_of_the_older_with_its_own_manifest() -> None:
    old = record(entry("a"), entry("b"), environments=({"git_commit": "a"},))
    new = record(entry("c"), entry("a", ours_s=(1.0, 1.0, 1.0)), environments=({"git_commit": "b"},))
    both = joined(old, new)
    commits = [(one.name, both.environments[one.environment]["git_commit"]) for one in both.entries]
    assert commits == [("a", "b"), ("b", "a"), ("c", "b")]
    assert both.entries[0].ours_s == (1.0, 1.0, 1.0)
    assert joined(None, new) == new
    # no manifest stays of which there is no entry
    assert len(joined(record(entry("a")), new).environments) == 1
