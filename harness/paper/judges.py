"""The few judges that the rules name: each turns a statement into comparisons, and says how they came out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from harness.metrics.significance import Difference, Sample, difference
from harness.paper.rules import Best, Close, More, Most, Quantity, Statement, Subject, Times
from harness.system.quantities import NotMeasured

# holds, against: beyond noise. noise: the difference is within it. missing: a figure is not there.
Outcome = Literal["holds", "against", "noise", "missing"]
Kind = Literal["more", "most", "close", "times"]
_Pair = tuple[Sample, Sample]


class Figures(Protocol):
    """Where figures come from: a table of the paper, or records of one group."""

    def figure(self, subject: Subject, quantity: Quantity) -> Sample | NotMeasured:
        """A network's figure in a row, or why there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison and its outcome.

    kind: "more": `higher` should exceed `lower`; "most": by more in `quantity` than in `than`;
        "close": they should differ by at most `limit`; "times": at least `limit` times the other.
    above, below: the two figures; of "most" the two leads. None where missing.
    reason: why it could not be judged; empty if it was.
    """

    kind: Kind
    quantity: Quantity
    higher: Subject
    lower: Subject
    than: Quantity | None = None
    limit: float | None = None
    outcome: Outcome = "missing"
    above: Sample | None = None
    below: Sample | None = None
    difference: Difference | None = None
    reason: str = ""


def judge(statement: Statement, figures: Figures) -> list[Finding]:
    """Every comparison that a statement is made of, held against some figures."""
    return _JUDGES[statement.judge](statement, figures)


def _more(statement: More, figures: Figures) -> list[Finding]:
    return [
        _compare(Finding(kind="more", quantity=quantity, higher=high, lower=low), figures, _exceeds)
        for high, low in statement.couples()
        for quantity in statement.quantities
    ]


def _best(statement: Best, figures: Figures) -> list[Finding]:
    findings = []
    for row in statement.rows:
        subjects = [Subject(network=name, row=row) for name in statement.of]
        for quantity in statement.quantities:
            found = [(subject, figures.figure(subject, quantity)) for subject in subjects]
            there = [(subject, sample.mean) for subject, sample in found if isinstance(sample, Sample)]
            lacking = [_reason(subject, one) for subject, one in found if isinstance(one, NotMeasured)]
            best = max(there, key=lambda one: one[1])[0] if there else subjects[0]
            for name in statement.rest:
                other = Subject(network=name, row=row)
                start = Finding(kind="more", quantity=quantity, higher=best, lower=other)
                # without one of them, the best is not known
                findings.append(replace(start, reason=lacking[0]) if lacking else _compare(start, figures, _exceeds))
    return findings


def _most(statement: Most, figures: Figures) -> list[Finding]:
    return [
        _compare_leads(Finding(kind="most", quantity=statement.quantity, than=than, higher=high, lower=low), figures)
        for high, low in statement.couples()
        for than in statement.quantities
    ]


def _close(statement: Close, figures: Figures) -> list[Finding]:
    margin = statement.margin

    def within(_: _Pair, gap: Difference) -> Outcome:
        if -margin <= gap.low and gap.high <= margin:
            return "holds"
        return "against" if gap.low > margin or gap.high < -margin else "noise"

    return [
        _compare(Finding(kind="close", quantity=quantity, higher=high, lower=low, limit=margin), figures, within)
        for high, low in statement.couples()
        for quantity in statement.quantities
    ]


def _times(statement: Times, figures: Figures) -> list[Finding]:
    factor = statement.factor

    def so_many_times(pair: _Pair, _: Difference) -> Outcome:
        return "holds" if pair[0].mean >= factor * pair[1].mean else "against"

    return [
        _compare(
            Finding(kind="times", quantity=quantity, higher=high, lower=low, limit=factor),
            figures,
            so_many_times,
        )
        for high, low in statement.couples()
        for quantity in statement.quantities
    ]


# By the name that a rule gives; each takes the kind of statement of that name.
_JUDGES: Mapping[str, Callable[[Any, Figures], list[Finding]]] = {
    "more": _more,
    "best": _best,
    "most": _most,
    "close": _close,
    "times": _times,
}


# -- single comparisons -------------------------------------------------------------------------------------


def _compare(start: Finding, figures: Figures, judged: Callable[[_Pair, Difference], Outcome]) -> Finding:
    pair = _both(start, start.quantity, figures)
    if isinstance(pair, NotMeasured):
        return replace(start, reason=pair.reason)
    gap = difference(*pair)
    shown = replace(start, above=pair[0], below=pair[1])
    if isinstance(gap, NotMeasured):
        return replace(shown, reason=gap.reason)
    return replace(shown, difference=gap, outcome=judged(pair, gap))


def _compare_leads(start: Finding, figures: Figures) -> Finding:
    """Whether the lead in `quantity` exceeds that in `than`.

    The noise of (H - L) - (h - l) is that of (H - h) - (L - l), each bracket of one network.
    """
    main = _both(start, start.quantity, figures)
    other = _both(start, start.than or start.quantity, figures)
    if isinstance(main, NotMeasured):
        return replace(start, reason=main.reason)
    if isinstance(other, NotMeasured):
        return replace(start, reason=other.reason)
    gap = difference(main[0].minus(other[0]), main[1].minus(other[1]))
    shown = replace(start, above=_lead(main), below=_lead(other))
    if isinstance(gap, NotMeasured):
        return replace(shown, reason=gap.reason)
    return replace(shown, difference=gap, outcome=_exceeds(main, gap))


def _exceeds(_: _Pair, gap: Difference) -> Outcome:
    if gap.low > 0:
        return "holds"
    # of counted figures an equal one does not exceed
    return "against" if gap.high < 0 or gap.by == "nothing" else "noise"


def _lead(pair: _Pair) -> Sample:
    """The difference of two networks' means, for show: the finding's `difference` has the noise."""
    return Sample(values=(pair[0].mean - pair[1].mean,), noise=pair[0].noise)


def _both(start: Finding, quantity: Quantity, figures: Figures) -> _Pair | NotMeasured:
    """The figures of both networks, or why there is none of one."""
    high, low = figures.figure(start.higher, quantity), figures.figure(start.lower, quantity)
    if isinstance(high, NotMeasured):
        return NotMeasured(reason=_reason(start.higher, high))
    if isinstance(low, NotMeasured):
        return NotMeasured(reason=_reason(start.lower, low))
    return high, low


def _reason(subject: Subject, missing: NotMeasured) -> str:
    where = f" ({subject.row})" if subject.row else ""
    return f"{subject.network}{where}: {missing.reason}"
