"""The few judges that the rules name: each turns a statement into comparisons, and says how they came out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.metrics.significance import Difference, Sample, difference
from harness.paper.rules import Best, Close, More, Most, Quantity, Statement, Subject, Times
from harness.system.quantities import NotMeasured

# holds, against: beyond noise. noise: the difference is within it. missing: a figure is not there. repeated: of
# the same evaluations as a comparison before it, as where the last iteration is the best too; it does not count.
Outcome = Literal["holds", "against", "noise", "missing", "repeated"]
Kind = Literal["more", "most", "close", "times"]
# Where figures come from, a table of the paper or records of one group: a network's figure, or why there is none.
Figures = Callable[[Subject, Quantity], Sample | NotMeasured]
# What is shown beside a quantity, not judged: the bytes beside the paper's count of maps; the time to the full-size
# prediction, since DeepLab-LargeFOV's forward pass ends at an eighth of it; how much of the memory is weights.
BESIDE: Mapping[Quantity, Quantity] = {
    "decoder_storage": "decoder_bytes",
    "forward": "end_to_end",
    "inference_memory": "weights",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One comparison and its outcome.

    kind: "more": `higher` should exceed `lower`; "most": by more in `quantity` than in `than`;
        "close": they should differ by at most `limit`; "times": at least `limit` times the other.
    above, below: the two figures; of "most" the two leads. None where missing.
    beside: both networks' figures of the quantity that BESIDE names.
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
    beside: tuple[Sample, Sample] | None = None
    reason: str = ""

    @property
    def words(self) -> str:
        """What should hold, in short: `SegNet > DeconvNet, BF, end`."""
        row = self.higher.row if self.higher.row == self.lower.row else None
        high, low = (
            one.network if row is not None else f"{one.network} ({one.row})" for one in (self.higher, self.lower)
        )
        relation = {
            "more": f"{high} > {low}",
            "close": f"{high} within {self.limit or 0:g} of {low}",
            "times": f"{high} ≥ {self.limit or 0:g} x {low}",
            "most": f"{high} over {low} by more than in {self.than}",
        }[self.kind]
        return ", ".join(part for part in (relation, self.quantity.replace("_", " "), row) if part)


def judge(statement: Statement, figures: Figures) -> list[Finding]:
    """Every comparison that a statement is made of, held against some figures."""
    return [_judged(one, figures) for one in _COMPARISONS[statement.judge](statement, figures)]


def without_repeats(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings, with what repeats the evaluations of an earlier one marked so."""
    seen, marked = set(), []
    for one in findings:
        sources = tuple(sample.evaluations if sample else () for sample in (one.above, one.below))
        key = (one.kind, one.quantity, one.than, one.limit, sources)
        repeats = all(sources) and key in seen and one.outcome != "missing"
        seen.add(key)
        marked.append(replace(one, outcome="repeated") if repeats else one)
    return tuple(marked)


# -- the comparisons of a statement -------------------------------------------------------------------------


def _couples(statement: More | Close | Times, _: Figures) -> list[Finding]:
    limit = {"close": "margin", "times": "factor"}.get(statement.judge)
    return [
        Finding(
            kind=statement.judge,
            quantity=quantity,
            higher=high,
            lower=low,
            limit=getattr(statement, limit) if limit else None,
        )
        for high, low in statement.couples()
        for quantity in statement.quantities
    ]


def _leads(statement: Most, _: Figures) -> list[Finding]:
    return [
        Finding(kind="most", quantity=statement.quantity, than=than, higher=high, lower=low)
        for high, low in statement.couples()
        for than in statement.quantities
    ]


def _best(statement: Best, figures: Figures) -> list[Finding]:
    findings = []
    for row in statement.rows:
        subjects = [Subject(network=name, row=row) for name in statement.of]
        for quantity in statement.quantities:
            found = [(subject, figures(subject, quantity)) for subject in subjects]
            scored = [(subject, sample.mean) for subject, sample in found if isinstance(sample, Sample)]
            lacking = [subject for subject, sample in found if isinstance(sample, NotMeasured)]
            # without one of them the best is not known: the missing one stands for it, and gives the reason
            best = lacking[0] if lacking else max(scored, key=lambda one: one[1])[0]
            others = [Subject(network=name, row=row) for name in statement.rest]
            findings += [Finding(kind="more", quantity=quantity, higher=best, lower=other) for other in others]
    return findings


# By the name that a rule gives; each takes the kind of statement of that name.
_COMPARISONS: Mapping[str, Callable[[Any, Figures], list[Finding]]] = {
    "more": _couples,
    "close": _couples,
    "times": _couples,
    "most": _leads,
    "best": _best,
}


# -- single comparisons -------------------------------------------------------------------------------------


def _judged(start: Finding, figures: Figures) -> Finding:
    high, low = figures(start.higher, start.quantity), figures(start.lower, start.quantity)
    for subject, found in ((start.higher, high), (start.lower, low)):
        if isinstance(found, NotMeasured):
            where = f" ({subject.row})" if subject.row else ""
            return replace(start, reason=f"{subject.network}{where}: {found.reason}")
    if isinstance(high, NotMeasured) or isinstance(low, NotMeasured):
        return start
    shown, one, other = (high, low), high, low
    if start.than is not None:
        # the noise of (H - L) - (h - l) is that of (H - h) - (L - l), each bracket of one network
        less = figures(start.higher, start.than), figures(start.lower, start.than)
        if isinstance(less[0], NotMeasured) or isinstance(less[1], NotMeasured):
            return replace(start, reason=f"{start.than} is missing")
        one, other = high.minus(less[0]), low.minus(less[1])
        shown = _lead(high, low), _lead(less[0], less[1])
    gap = difference(one, other.times(start.limit) if start.kind == "times" and start.limit else other)
    started = replace(start, above=shown[0], below=shown[1], beside=_beside(start, figures))
    if isinstance(gap, NotMeasured):
        return replace(started, reason=gap.reason)
    return replace(started, difference=gap, outcome=_outcome(start, gap))


def _outcome(start: Finding, gap: Difference) -> Outcome:
    if start.kind == "close" and start.limit is not None:
        if -start.limit <= gap.low and gap.high <= start.limit:
            return "holds"
        return "against" if gap.low > start.limit or gap.high < -start.limit else "noise"
    # as many times is enough; of counted figures an equal one does not exceed
    if gap.low > 0 or (start.kind == "times" and gap.low == 0):
        return "holds"
    return "against" if gap.high < 0 or gap.by == "nothing" else "noise"


def _lead(high: Sample, low: Sample) -> Sample:
    """The difference of two networks' means, for show: the finding's `difference` has the noise."""
    return Sample(values=(high.mean - low.mean,), noise="counted", evaluations=high.evaluations + low.evaluations)


def _beside(start: Finding, figures: Figures) -> tuple[Sample, Sample] | None:
    quantity = BESIDE.get(start.quantity)
    found = [figures(subject, quantity) for subject in (start.higher, start.lower)] if quantity else []
    there = [one for one in found if isinstance(one, Sample)]
    return (there[0], there[1]) if len(there) == 2 else None
