"""The comparison with the PyTorch baseline: interleaved sides, the record, and the check, which can fail."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from harness.records.speed import PERFORMANCE, Entry, Target
from tests.benchmarks import bench_performance
from tests.benchmarks.bench_performance import Session, allowed, keep, measure
from tests.benchmarks.comparisons import COMPARISONS, Comparison, Scale
from tests.benchmarks.sides import Ask, Job, Settings


def scripted(settings: Settings) -> Job:
    """Notes its steps in a file. Ours, known by the allocator, takes the seconds that its word says, plain one."""
    ours = "MALLOC_MMAP_MAX_" in os.environ

    def step() -> tuple[float, ...]:
        with (settings.work / "steps").open("a") as file:
            file.write("o" if ours else "P")
        if settings.words == ("killed",):
            os._exit(3)
        return (float(settings.words[0]) if ours else 1.0,)

    return Job(step=step, explain=lambda: ["said by ours" if ours else "said by plain"])


JOBS = {"training": scripted}


@contextmanager
def in_this_process(module: str, job: str, settings: Settings, variables: Mapping[str, str]) -> Iterator[Ask]:
    with patch.dict(os.environ, variables):
        prepared = JOBS[job](settings)
    yield lambda question: getattr(prepared, question)()


def pedantic(
    target: Callable[[], None], setup: Callable[[], None], teardown: Callable[[], None], rounds: int, warmup_rounds: int
) -> None:
    for _ in range(warmup_rounds + rounds):
        setup()
        target()
        teardown()


# pytest-benchmark's rounds, untimed: its fixture would skip these tests wherever benchmarks are skipped
BENCHMARK: Any = SimpleNamespace(pedantic=pedantic)


def comparison(word: str, precision: str = "fp32") -> Comparison:
    target = Target(quantity="ratio", at_most=0.9)
    return Comparison(
        "made-up", "", "training", Scale(3, 1), Scale(3, 1), target, {"words": (word,), "precision": precision}
    )


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """With sides in processes of their own."""
    for side in ("OURS", "PLAIN"):
        monkeypatch.setattr(bench_performance, side, __name__)
    monkeypatch.setattr(bench_performance, "device_slug", lambda device: "cpu-made-up")
    monkeypatch.setattr(bench_performance, "emulates_bfloat16", lambda: True)
    return Session(results=tmp_path, settings=Settings(size=(90, 120), work=tmp_path), check=False)


@pytest.fixture
def session(apart: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(bench_performance, "side", in_this_process)
    return apart


def run(word: str, session: Session, precision: str = "fp32") -> None:
    bench_performance.test_performance(comparison(word, precision), session, BENCHMARK)


def kept(session: Session) -> Entry:
    [record] = PERFORMANCE.load(session.results)
    [entry] = record.entries
    return entry


def test_sides_take_turns_in_processes_of_their_own_and_leave_a_record(apart: Session) -> None:
    run("1.5", apart)
    assert (apart.settings.work / "steps").read_text() == "PooPPooP"
    assert (kept(apart).ours_s, kept(apart).opponent_s) == ((1.5,) * 3, (1.0,) * 3)
    assert kept(apart).notes == ("said by ours", "said by plain")
    with pytest.raises(pytest.fail.Exception, match="BrokenProcessPool"):
        run("killed", apart)
    assert "BrokenProcessPool" in str(kept(apart).failure)


def test_targets_are_those_of_the_full_size(session: Session) -> None:
    run("1.5", session)
    assert kept(session).target is None and kept(session).what.endswith("1 CamVid images at hand, 90 x 120")
    full = measure(comparison("1.5"), replace(session.settings, size=(360, 480)), BENCHMARK)
    assert full.met is False and full.what.endswith("360 x 480")


def test_the_check_fails_beyond_a_quarter_or_without_a_ratio(session: Session) -> None:
    check = replace(session, check=True)
    run("1.0", session)
    run("1.249", check)
    with pytest.raises(pytest.fail.Exception, match=r"1\.260 .*, at most 1\.250"):
        run("1.26", check)
    with pytest.raises(pytest.fail.Exception, match=r"^ValueError: could not convert string to float"):
        run("much", check)
    assert kept(session).ours_s == (1.0,) * 3


def test_nothing_is_measured_that_can_not_be_judged(session: Session) -> None:
    check = replace(session, check=True)
    with pytest.raises(pytest.skip.Exception, match="no committed record"):
        run("1.5", check)
    keep(measure(comparison("1.0"), session.settings, BENCHMARK), session)
    (session.settings.work / "steps").unlink()
    with pytest.raises(pytest.skip.Exception, match="emulates"):
        run("2.0", check, "bf16")
    assert not (session.settings.work / "steps").exists()


@pytest.mark.parametrize(("seconds", "here", "elsewhere"), [("2.0", 2.5, 2.5), ("0.5", 0.625, 1.0)])
def test_another_device_is_judged_by_a_record_with_as_many_threads(
    seconds: str, here: float, elsewhere: float, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed, bf16 = comparison(seconds), comparison(seconds, "bf16")
    entry = measure(committed, session.settings, BENCHMARK)
    keep(entry.model_copy(update={"opponent": "its earlier name"}), session)
    assert allowed(committed, session) == allowed(bf16, session) == here
    monkeypatch.setattr(bench_performance, "device_slug", lambda device: "cpu-another")
    assert allowed(committed, session) == elsewhere and allowed(bf16, session) is None
    for other in (replace(session.settings, threads=2), replace(session.settings, size=(360, 480))):
        assert allowed(committed, replace(session, settings=other)) is None
    run("3.0", session)
    assert allowed(committed, session) == 3.75


def test_what_is_no_longer_compared_goes(session: Session) -> None:
    entry = measure(comparison("1.0"), session.settings, BENCHMARK)
    for name in ("once-compared", COMPARISONS[0].name, "made-up"):
        keep(entry.model_copy(update={"name": name}), session)
    (record,) = PERFORMANCE.load(session.results)
    assert [one.name for one in record.entries] == [one.name for one in COMPARISONS[:1] if one.small] + ["made-up"]


def test_names_are_different_and_jobs_known() -> None:
    from tests.benchmarks import ours
    from tests.benchmarks.plain import side

    assert len({one.name for one in COMPARISONS}) == len(COMPARISONS)
    assert {one.job for one in COMPARISONS} == set(ours.JOBS) > set(side.JOBS)
