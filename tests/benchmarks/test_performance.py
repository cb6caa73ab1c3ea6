"""The comparison with the PyTorch baseline: record, ratios, and the regression gate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from harness.records.speed import (
    PERFORMANCE,
    Entry,
    PerformanceRecord,
    Spread,
    Target,
    joined,
    spread,
)
from harness.system.errors import UserError
from tests.benchmarks import performance
from tests.benchmarks.speed_gate import baseline_for, regressions

TINY = "tests.benchmarks.tiny"


def entry(name: str = "training-fp32", **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "name": name,
        "title": "A step",
        "what": "one step",
        "opponent": "the PyTorch baseline",
        "precision": "fp32",
        "images": 5,
        "ours_s": (9.0, 16.0, 10.0),
        "opponent_s": (10.0, 20.0, 10.0),
        "target": Target(quantity="ratio", at_most=0.93),
        "notes": (),
        "flags": (),
        "measured_at": "2026-01-01T00:00:00+00:00",
        "wall_s": 1.0,
        "load_average_before": 0.0,
        "load_average_after": None,
        **changes,
    }
    return Entry(**values)


def record(*entries: Entry, **changes: Any) -> PerformanceRecord:
    values: dict[str, Any] = {
        "device": "cpu",
        "device_name": "Made-up CPU",
        "device_slug": "cpu-made-up-2c",
        "threads": 2,
        "size": (90, 120),
        "reduced": True,
        "entries": entries,
        "environments": ({"git_commit": "a"},),
        "settings": {},
        **changes,
    }
    return PerformanceRecord(**values)


# -- ratios and records -------------------------------------------------------------------------------------


def test_ratios_are_taken_within_a_round() -> None:
    assert entry().ratios == (0.9, 0.8, 1.0)
    found = spread(entry().ratios)
    # at 1/4 and 3/4 of the way from the first to the last of 0.8, 0.9, 1.0
    assert (found.low, found.median, found.high) == pytest.approx((0.85, 0.9, 0.95))
    assert spread([3.0]) == Spread(low=3.0, median=3.0, high=3.0)
    with pytest.raises(ValueError, match="no values"):
        spread([])


@pytest.mark.parametrize(
    ("target", "met"),
    [
        (Target(quantity="ratio", at_most=0.9), True),
        (Target(quantity="ratio", at_most=0.89), False),
        (Target(quantity="seconds", at_most=10.0), True),
        (Target(quantity="seconds", at_most=9.9), False),
        (None, None),
    ],
)
def test_a_target_is_judged_by_the_median(target: Target | None, met: bool | None) -> None:
    assert entry(target=target).met is met
    assert entry(target=target, ours_s=(), opponent_s=(), failure="no module").met is None


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


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = record(entry(), entry("help", opponent=None, opponent_s=(), images=None))
    path = PERFORMANCE.save(tmp_path, written)
    assert path == tmp_path / "performance" / "cpu-made-up-2c-90x120.json"
    assert PERFORMANCE.load(tmp_path) == [written]
    (PERFORMANCE.folder(tmp_path) / "broken.json").write_text("{}")
    with pytest.raises(UserError, match=r"broken\.json: not a comparison with the PyTorch baseline"):
        PERFORMANCE.load(tmp_path)


@pytest.mark.parametrize("changes", [{"reduced": False}, {"environments": ()}])
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        record(entry(), **changes)
    with pytest.raises(ValidationError, match="different names"):
        record(entry(), entry())


def test_a_newer_entry_takes_the_place_of_the_older_with_its_own_manifest() -> None:
    old = record(entry("a"), entry("b"))
    new = record(entry("b", ours_s=(1.0, 1.0, 1.0)), environments=({"git_commit": "b"},))
    both = joined(old, new)
    assert [one.name for one in both.entries] == ["a", "b"]
    commits = [both.environments[one.environment]["git_commit"] for one in both.entries]
    assert commits == ["a", "b"]
    found = both.entry("b")
    assert found is not None and found.ours_s == (1.0, 1.0, 1.0)
    assert joined(None, new) == new
    with pytest.raises(ValueError, match="not of one device and size"):
        joined(old, record(entry(), size=(360, 480), reduced=False))


# -- the gate -----------------------------------------------------------------------------------------------


def slower(factor: float, name: str = "training-fp32") -> Entry:
    return entry(name, ours_s=tuple(factor * value for value in entry().ours_s))


def test_the_gate_closes_beyond_a_quarter() -> None:
    assert regressions(record(entry()), record(slower(1.249))) == []
    assert regressions(record(entry()), record(slower(0.5))) == []
    both_sides = entry(ours_s=(18.0, 32.0, 20.0), opponent_s=(20.0, 40.0, 20.0))
    assert regressions(record(entry()), record(both_sides)) == []
    [found] = regressions(record(entry()), record(slower(1.3)))
    assert found.name == "training-fp32"
    # 1.3 times 0.8, 0.9 and 1.0
    assert "1.170 [1.105, 1.235] of the PyTorch baseline's time, committed 0.900: worse by 30 %" in found.message


def test_what_has_no_ratio_any_more_closes_the_gate() -> None:
    failed = entry(ours_s=(), opponent_s=(), failure="No module named 'x'")
    [missing] = regressions(record(entry()), record(entry("another")))
    [broken] = regressions(record(entry()), record(failed))
    assert "not measured now" in missing.message and "No module named 'x'" in broken.message
    without = entry(opponent=None, opponent_s=())
    assert regressions(record(without), record(slower(9))) == []
    assert regressions(record(failed), record(slower(9))) == []


def test_a_device_is_judged_by_its_own_record_else_by_one_with_as_many_threads() -> None:
    new = record(entry(), device_slug="cpu-new-2c")
    other = record(entry(), device_slug="cpu-other-2c")
    larger = record(entry(), device_slug="cpu-larger-8c", threads=8)
    whole = record(entry(), device_slug="cpu-new-2c", size=(360, 480), reduced=False)
    own = record(slower(1.1), device_slug="cpu-new-2c")
    assert baseline_for(new, [larger, whole]) is None
    assert baseline_for(new, [larger, other]) is other
    assert baseline_for(new, [other, own]) is own


@pytest.mark.parametrize(
    "changes", [{"precision": "bf16"}, {"opponent_workers": 2}, {"opponent": "the matrix peak"}, {}], ids=str
)
def test_what_depends_on_the_processor_is_judged_on_the_same_device_only(changes: dict[str, Any]) -> None:
    before, now = entry(**changes), slower(20).model_copy(update=changes)
    assert len(regressions(record(before), record(now))) == 1
    assert bool(regressions(record(before), record(now, device_slug="cpu-other-2c"))) == (not changes)


def test_another_device_is_judged_by_a_record_with_an_earlier_name_of_the_baseline_too() -> None:
    before = record(entry(opponent="the plain way"))
    assert len(regressions(before, record(slower(2), device_slug="cpu-other-2c"))) == 1
    failed = entry(ours_s=(), opponent_s=(), failure="no module")
    assert len(regressions(before, record(failed, device_slug="cpu-other-2c"))) == 1


def test_on_another_device_what_beats_the_baseline_is_no_regression() -> None:
    before = entry(ours_s=(1.0, 1.0, 1.0), opponent_s=(10.0, 10.0, 10.0))
    beats, loses = entry(), slower(1.5)
    assert len(regressions(record(before), record(beats))) == 1
    assert regressions(record(before), record(beats, device_slug="cpu-other-2c")) == []
    assert len(regressions(record(before), record(loses, device_slug="cpu-other-2c"))) == 1


# -- the command --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factors", "code", "measured"), [((1.2,), 0, 1), ((1.5, 1.0), 0, 2), ((1.5, 1.5), 1, 2)])
def test_check_measures_what_is_worse_once_more(
    factors: tuple[float, ...],
    code: int,
    measured: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    PERFORMANCE.save(tmp_path / "results", record(entry()))
    asked: list[Sequence[str]] = []

    def compare(words: Sequence[str]) -> int:
        [place] = [Path(word.partition("=")[2]) for word in words if word.startswith("--performance-results")]
        PERFORMANCE.save(place, record(slower(factors[len(asked)])))
        asked.append(words)
        return 0

    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.setattr(performance, "compare", compare)
    monkeypatch.setattr(performance, "available_cores", lambda: 2)
    assert performance.main(["check"]) == code
    assert len(asked) == measured
    assert all("training-fp32" in words for words in asked[1:])
    assert ("REGRESSION: training-fp32" in capsys.readouterr().out) is bool(code)


def test_check_without_a_committed_record_says_so_and_measures_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    PERFORMANCE.save(tmp_path / "results", record(entry(), threads=3))
    monkeypatch.setattr(performance, "ROOT", tmp_path)
    monkeypatch.setattr(performance, "available_cores", lambda: 2)
    monkeypatch.setattr(performance, "compare", lambda words: pytest.fail("measured"))
    assert performance.main(["check"]) == 0
    assert "nothing to judge by: no committed record at 90x120" in capsys.readouterr().out
