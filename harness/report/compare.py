"""Two networks side by side: every score of every group that both were run in, and whether they differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.config.suite import load_suite
from harness.paper.claims import Difference, Sample, difference
from harness.report.accuracy import METRICS
from harness.report.collect import collect
from harness.report.groups import Group
from harness.report.samples import sample
from harness.system.errors import UserError, nearest

Winner = Literal["first", "second", "tie", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One score at one checkpoint on test, percent. difference: first less second; none, with the reason."""

    checkpoint: str
    metric: str
    first: Sample
    second: Sample
    difference: Difference | None
    reason: str = ""

    @property
    def winner(self) -> Winner:
        """Which one is higher beyond noise."""
        if self.difference is None:
            return "unknown"
        if self.difference.is_tie:
            return "tie"
        return "first" if self.difference.low > 0 else "second"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two networks in one group."""

    group: Group
    lines: tuple[Line, ...]


def compare(results: Path, first: str, second: str, suites: Sequence[str]) -> list[Pair]:
    """Every group of these suites in which both architectures were scored at a same checkpoint.

    Raises:
        UserError: the two are one, one has no finished run, or no group holds both.
    """
    if first == second:
        raise UserError(f"compare {first} with another network than itself")
    groups = _groups(results, suites)
    ran = list(dict.fromkeys(name for group in groups for name in group.networks))
    for name in (first, second):
        _check_ran(name, ran, results, suites)
    found = [Pair(group=group, lines=tuple(_lines(group, first, second))) for group in groups]
    found = [one for one in found if one.lines]
    if not found:
        raise UserError(
            f"{first} and {second} have no finished runs of the same protocol, data, precision and initial "
            "weights; `python -m harness run` makes some"
        )
    return found


def _groups(results: Path, suites: Sequence[str]) -> list[Group]:
    """Of all the suites, each run once: two suites can share a protocol."""
    groups: list[Group] = []
    seen: set[str] = set()
    for name in suites:
        for group in collect(results, load_suite(name)).groups:
            own = {run.record.run_id for run in group.runs}
            if own and not own & seen:
                groups.append(group)
                seen |= own
    return groups


def _check_ran(name: str, ran: Sequence[str], results: Path, suites: Sequence[str]) -> None:
    if name in ran:
        return
    if not ran:
        raise UserError(f"no finished run of suite {', '.join(suites)} in {results}")
    raise UserError(f"no finished run of {name!r} in {results}; {nearest(name, ran)}there are runs of {', '.join(ran)}")


def _lines(group: Group, first: str, second: str) -> list[Line]:
    lines = []
    for label in group.labels:
        for metric in METRICS:
            one, other = (sample(group.of(name), "test", label, metric) for name in (first, second))
            if one is None or other is None:
                continue
            gap = difference(one, other)
            lines.append(
                Line(
                    checkpoint=label,
                    metric=metric,
                    first=one,
                    second=other,
                    difference=gap if isinstance(gap, Difference) else None,
                    reason="" if isinstance(gap, Difference) else gap.reason,
                )
            )
    return lines
