"""The verdict on a claim: how many of its comparisons hold, over the groups of records it was held against."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from harness.paper.judges import Figures, Finding, judge, without_repeats
from harness.paper.published import published
from harness.paper.rules import Claim

Verdict = Literal["supported", "mostly supported", "mixed", "contradicted", "untested"]

# Shares of the comparisons that were judged. Supported: none is against, and at most a tenth within noise: at
# 95 % one of twenty true ones misses by chance, and those that a claim calls equal or close miss oftener. Mostly
# supported: at least two of three hold, and of eight at most one is against; so "43 of 48 hold, 5 against" is it,
# and "2 of 3 hold, 1 against" is not, since a claim that names three rivals fails with one. Contradicted: as many
# against as "mostly supported" needs for it. Mixed: all else, such as a claim whose comparisons are within noise.
SUPPORTED_HOLD = 9 / 10
MOSTLY_HOLD = 2 / 3
MOSTLY_AGAINST = 1 / 8


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How comparisons came out; what repeats another's evaluations is in none but `repeated`."""

    holds: int = 0
    against: int = 0
    noise: int = 0
    missing: int = 0
    repeated: int = 0

    @property
    def judged(self) -> int:
        """Comparisons that a verdict rests on."""
        return self.holds + self.against + self.noise

    @property
    def compared(self) -> int:
        """Comparisons that could be made, those that repeat another's evaluations too."""
        return self.judged + self.repeated

    @property
    def verdict(self) -> Verdict:
        """The word for these counts."""
        if not self.judged:
            return "untested"
        holds, against = self.holds / self.judged, self.against / self.judged
        if holds >= SUPPORTED_HOLD and not against:
            return "supported"
        if holds >= MOSTLY_HOLD and against <= MOSTLY_AGAINST:
            return "mostly supported"
        return "contradicted" if against >= MOSTLY_HOLD else "mixed"


def count(findings: Sequence[Finding]) -> Counts:
    """The findings by outcome."""
    return count_outcomes(one.outcome for one in findings)


def count_outcomes(outcomes: Iterable[str]) -> Counts:
    """The words by number."""
    found = Counter(outcomes)
    return Counts(**{field.name: found[field.name] for field in fields(Counts)})


@dataclass(frozen=True, kw_only=True)
class EvidenceGroup:
    """A group of records that a claim can be held against.

    name: what it is, in a few words.
    limitations: what its evidence lacks, a few words each, such as "2,150 of 8,600 iterations".
    full: whether it decides, rather than only where no full one can be judged.
    """

    name: str
    limitations: tuple[str, ...]
    full: bool
    figures: Figures


@dataclass(frozen=True, kw_only=True)
class GroupResult:
    """How a claim stands by one group."""

    group: EvidenceGroup
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> Counts:
        """How the comparisons came out."""
        return count(self.findings)

    @property
    def limitations(self) -> tuple[str, ...]:
        """The group's, and those of the comparisons that were judged."""
        counts, found = self.counts, list(self.group.limitations)
        judged = [one.difference for one in self.findings if one.difference and one.outcome != "repeated"]
        scored = [one for one in judged if one.by in ("images", "seeds")]
        single = sum(one.by == "images" for one in scored)
        if single:
            found.append("one seed" if single == len(scored) else f"one seed in {single} of {len(scored)}")
        if any(one.by == "margin" for one in judged):
            found.append("times of fewer than 3 processes")
        if counts.missing and counts.judged:
            found.append(f"{counts.compared} of {counts.compared + counts.missing} comparisons")
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """A claim, what the paper's own figures say of it by the same rule, and how it stands here."""

    claim: Claim
    paper: tuple[Finding, ...]
    groups: tuple[GroupResult, ...]

    @property
    def paper_verdict(self) -> Verdict:
        """The verdict on the paper's own figures."""
        return count(self.paper).verdict

    @property
    def deciding(self) -> tuple[GroupResult, ...]:
        """The groups that make the verdict.

        Those in which at least half of the comparisons could be made, full ones if there are any such; where no
        group has half, all that could be judged at all. A few comparisons of networks that happen to be done
        would else tip a verdict.
        """
        judged = tuple(one for one in self.groups if one.counts.judged)
        wide = tuple(one for one in judged if one.counts.compared >= one.counts.missing)
        return tuple(one for one in wide if one.group.full) or wide or judged

    @property
    def counts(self) -> Counts:
        """Of all deciding groups together; an evaluation that stands in several of them counts once."""
        return count(without_repeats([one for group in self.deciding for one in group.findings]))

    @property
    def verdict(self) -> Verdict:
        """The verdict on the records."""
        return self.counts.verdict

    @property
    def limitations(self) -> tuple[str, ...]:
        """What limits the verdict, of every deciding group."""
        return tuple(dict.fromkeys(text for one in self.deciding for text in one.limitations))

    @property
    def reason(self) -> str:
        """Why the claim is untested; empty where it is not."""
        if self.deciding:
            return ""
        reasons = [one.reason for group in self.groups for one in group.findings if one.reason]
        distinct = list(dict.fromkeys(reasons)) or [f"no record of suite {' or '.join(self.claim.suites)}"]
        return distinct[0] + (f"; and {len(distinct) - 1} more" if len(distinct) > 1 else "")


def judge_claim(claim: Claim, groups: Sequence[EvidenceGroup]) -> ClaimResult:
    """Hold a claim against the paper's own figures and against every group of records."""
    return ClaimResult(
        claim=claim,
        paper=_findings(claim, published(claim.table)),
        groups=tuple(GroupResult(group=one, findings=_findings(claim, one.figures)) for one in groups),
    )


def _findings(claim: Claim, figures: Figures) -> tuple[Finding, ...]:
    return without_repeats([finding for statement in claim.statements for finding in judge(statement, figures)])
