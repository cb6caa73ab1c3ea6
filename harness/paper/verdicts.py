"""The verdict on a claim, from all groups of records that it was held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.paper.judges import Figures, Finding, Outcome, judge
from harness.paper.published import published
from harness.paper.rules import Claim

# within noise: a comparison that the claim needs is neither for nor against it, and none is against.
# undecided: groups contradict each other, as those of different initial weights may.
# indicated: what full runs would be called reproduced, contradicted or within noise for.
Verdict = Literal["reproduced", "contradicted", "within noise", "undecided", "indicated", "not tested"]
Leaning = Literal["for", "against", "within noise", ""]

_LEANINGS: Mapping[Outcome, Leaning] = {"holds": "for", "against": "against", "noise": "within noise"}
_VERDICTS: Mapping[Outcome, Verdict] = {
    "holds": "reproduced",
    "against": "contradicted",
    "noise": "within noise",
}
# So many reasons are named, the others counted.
_REASONS = 2


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A group of records that a claim can be held against.

    name: what it is, in one line. page: its table, relative to the reports folder. weights: initial ones.
    lesser: why it can do no more than indicate, such as that its runs are reduced; empty if it can.
    """

    name: str
    page: str
    weights: str
    lesser: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a claim stands by one group. reason: why it can't be judged; empty if it can."""

    evidence: Evidence
    findings: tuple[Finding, ...]
    outcome: Outcome
    reason: str


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A claim, what the paper's own figures say of it by the same rule, and the verdict on ours.

    leaning: of a claim that is indicated. reason: why the verdict is no more than it is; may be empty.
    """

    claim: Claim
    paper: tuple[Finding, ...]
    standings: tuple[Standing, ...]
    verdict: Verdict
    leaning: Leaning
    reason: str

    @property
    def borne_out(self) -> bool:
        """Whether the paper's own figures satisfy the rule."""
        return _outcome(self.paper) == "holds"

    @property
    def words(self) -> str:
        """The verdict as a reader sees it, such as "indicated (against)"."""
        return f"{self.verdict} ({self.leaning})" if self.leaning else self.verdict


def judge_claim(claim: Claim, evidence: Sequence[Evidence]) -> Judgement:
    """Hold a claim against the paper's own figures and against every group of records.

    Full groups decide; the others are heard only where no full one can be judged.
    """
    standings = tuple(_standing(claim, one) for one in evidence)
    verdict, leaning, reason = _verdict(claim, standings)
    return Judgement(
        claim=claim,
        paper=_findings(claim, published(claim.table)),
        standings=standings,
        verdict=verdict,
        leaning=leaning,
        reason=reason,
    )


def deciding(standings: Sequence[Standing]) -> list[Standing]:
    """Those that make the verdict."""
    judged = [one for one in standings if one.outcome != "missing"]
    return [one for one in judged if not one.evidence.lesser] or judged


def _findings(claim: Claim, figures: Figures) -> tuple[Finding, ...]:
    return tuple(finding for statement in claim.statements for finding in judge(statement, figures))


def _standing(claim: Claim, evidence: Evidence) -> Standing:
    findings = _findings(claim, evidence.figures)
    outcome = _outcome(findings)
    reasons = [one.reason for one in findings if one.outcome == "missing"]
    reason = _listed(reasons) if outcome == "missing" else ""
    return Standing(evidence=evidence, findings=findings, outcome=outcome, reason=reason)


def _outcome(findings: Sequence[Finding]) -> Outcome:
    """One comparison against a claim is enough; it holds only if all of them do."""
    found = {one.outcome for one in findings}
    order: tuple[Outcome, ...] = ("against", "missing", "noise", "holds")
    return next(outcome for outcome in order if outcome in found)


def _verdict(claim: Claim, standings: Sequence[Standing]) -> tuple[Verdict, Leaning, str]:
    chosen = deciding(standings)
    if not chosen:
        reasons = [one.reason for one in standings]
        return "not tested", "", _listed(reasons) or _no_record(claim)
    outcomes = {one.outcome for one in chosen}
    if {"holds", "against"} <= outcomes:
        return "undecided", "", _divided(chosen)
    order: tuple[Outcome, ...] = ("against", "noise", "holds")
    outcome = next(one for one in order if one in outcomes)
    lesser = [reason for one in chosen for reason in one.evidence.lesser]
    limits = [claim.at_most_indicated, *lesser] if claim.at_most_indicated else lesser
    if limits:
        return "indicated", _LEANINGS[outcome], "; ".join(dict.fromkeys(limits))
    return _VERDICTS[outcome], "", ""


def _no_record(claim: Claim) -> str:
    return f"no record of suite {' or '.join(f'`{name}`' for name in claim.suites)}"


def _divided(standings: Sequence[Standing]) -> str:
    """Which groups are for a claim and which against; by initial weights, where these part them."""
    sides = [[one.evidence for one in standings if one.outcome == side] for side in ("holds", "against")]
    weights = [list(dict.fromkeys(one.weights for one in side)) for side in sides]
    if set(weights[0]).isdisjoint(weights[1]):
        return f"by initial weights: for {', '.join(weights[0])}; against {', '.join(weights[1])}"
    names = [", ".join(one.name for one in side) for side in sides]
    return f"for {names[0]}; against {names[1]}"


def _listed(reasons: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(reasons))
    more = len(distinct) - _REASONS
    return "; ".join(distinct[:_REASONS]) + (f"; and {more} more" if more > 0 else "")
