"""The judges, on made-up figures: what holds, what is against, what is within noise, what is missing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from harness.metrics.significance import Sample, counted
from harness.paper.judges import Figures, judge, without_repeats
from harness.paper.rules import Best, Close, More, Most, Quantity, Subject, Times
from harness.system.quantities import NotMeasured

LABELS = np.full((20, 2), 100, dtype=np.int64)
PAIR = (("a", "b"),)


def made(values: Mapping[str, Sample]) -> Figures:
    """Figures by network, or by network and quantity."""

    def figure(subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        found = values.get(f"{subject.network} {quantity}", values.get(subject.network))
        return found or NotMeasured(reason="not run")

    return figure


def score(mean: float, half: float = 0.0) -> Sample:
    """A score of one seed, whose resamples lie evenly within `half` / 0.95 of it."""
    resampled = np.linspace(mean - half / 0.95, mean + half / 0.95, 2001)[None]
    return Sample(values=(mean,), noise="images", resampled=resampled, labeled=LABELS)


MORE = More(judge="more", pairs=PAIR, quantities=("G",))


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        (score(82.0, 1.0), score(80.0), "holds"),
        (score(80.5, 1.0), score(80.0), "noise"),
        (score(78.0, 1.0), score(80.0), "against"),
        (score(80.0), score(80.0), "noise"),
        (counted(3.0), counted(2.0), "holds"),
        (counted(2.0), counted(2.0), "against"),
    ],
)
def test_more(a: Sample, b: Sample, outcome: str) -> None:
    (finding,) = judge(MORE, made({"a": a, "b": b}))
    assert finding.outcome == outcome
    assert finding.above is a
    assert finding.below is b


def test_missing_names_the_network() -> None:
    (finding,) = judge(MORE, made({"a": score(80.0)}))
    assert (finding.outcome, finding.reason) == ("missing", "b: not run")


@pytest.mark.parametrize(
    ("a", "outcome"),
    [
        (score(81.0, 0.9), "holds"),
        (score(79.0, 0.9), "holds"),
        (score(81.5, 0.9), "noise"),
        (score(78.0, 0.9), "noise"),
        (score(83.5, 0.9), "against"),
        (score(76.5, 0.9), "against"),
    ],
)
def test_close_within_two_points(a: Sample, outcome: str) -> None:
    statement = Close(judge="close", pairs=PAIR, quantities=("G",), margin=2.0)
    (finding,) = judge(statement, made({"a": a, "b": score(80.0)}))
    assert finding.outcome == outcome


def test_most_by_points_of_lead() -> None:
    statement = Most(judge="most", pairs=PAIR, quantity="BF", quantities=("G", "C"))
    figures = {"a BF": score(40.0), "b BF": score(35.0), "a G": score(82.0), "b G": score(80.0)}
    figures |= {"a C": score(66.0), "b C": score(60.0)}
    over_g, over_c = judge(statement, made(figures))
    assert (over_g.outcome, over_c.outcome) == ("holds", "against")  # 5 points against 2, and against 6
    assert over_g.above is not None
    assert over_g.below is not None
    assert (over_g.above.mean, over_g.below.mean) == (5.0, 2.0)
    assert over_g.difference is not None
    assert over_g.difference.estimate == pytest.approx(3.0)


def test_most_pairs_the_noise_of_one_network() -> None:
    # a's BF and G go up and down together: what is common to them cancels out
    statement = Most(judge="most", pairs=PAIR, quantity="BF", quantities=("G",))
    figures = {"a BF": score(40.0, 9.0), "a G": score(82.0, 9.0), "b BF": score(35.0), "b G": score(80.0)}
    (finding,) = judge(statement, made(figures))
    assert finding.outcome == "holds"


def test_best_of_two_over_the_rest() -> None:
    statement = Best(judge="best", of=("a", "b"), rest=("c", "d"), rows=("median",), quantities=("G",))
    figures = made({"a": score(80.0), "b": score(84.0), "c": score(82.0), "d": score(85.0)})
    over_c, over_d = judge(statement, figures)
    assert (over_c.higher.network, over_c.outcome) == ("b", "holds")
    assert over_d.outcome == "against"
    lacking = judge(statement, made({"a": score(90.0), "c": score(82.0), "d": score(85.0)}))
    assert {(one.outcome, one.reason) for one in lacking} == {("missing", "b (median): not run")}


@pytest.mark.parametrize(("a", "outcome"), [(11.0, "holds"), (10.9, "against"), (12.0, "holds")])
def test_times(a: float, outcome: str) -> None:
    statement = Times(judge="times", pairs=PAIR, quantities=("decoder_storage",), factor=11.0)
    (finding,) = judge(statement, made({"a": counted(a), "b": counted(1.0)}))
    assert finding.outcome == outcome


@pytest.mark.parametrize(("a", "outcome"), [(80.0, "holds"), (53.0, "noise"), (30.0, "against")])
def test_times_of_what_was_timed(a: float, outcome: str) -> None:
    statement = Times(judge="times", pairs=PAIR, quantities=("forward",), factor=0.5)
    timed = {name: Sample(values=(ms,), noise="rounds", spread=2.0, processes=3) for name, ms in (("a", a), ("b", 100))}
    (finding,) = judge(statement, made(timed))
    assert finding.outcome == outcome


def test_what_stands_beside_is_shown_and_not_judged() -> None:
    statement = Times(judge="times", pairs=PAIR, quantities=("decoder_storage",), factor=11.0)
    figures = {"a": counted(11.0), "b": counted(1.0)}
    figures |= {"a decoder_bytes": counted(275.0), "b decoder_bytes": counted(100.0)}
    (finding,) = judge(statement, made(figures))
    assert finding.outcome == "holds"
    assert finding.beside is not None and [one.mean for one in finding.beside] == [275.0, 100.0]


def test_an_evaluation_that_fills_two_rows_counts_once() -> None:
    statement = More(judge="more", pairs=PAIR, rows=("half", "end", "best"), quantities=("G",))

    def figure(subject: Subject, quantity: Quantity) -> Sample:
        at = "1000" if subject.row == "half" else "2000"
        return replace(score(80.0 if subject.network == "a" else 70.0), evaluations=(f"{subject.network}/{at}",))

    outcomes = [one.outcome for one in without_repeats(judge(statement, figure))]
    assert outcomes == ["holds", "holds", "repeated"]
