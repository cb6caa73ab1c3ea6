"""Families: groups that are equal but for what the suite varies, which one page joins.

That is the class weights in the loss in Tables 1 and 4, and optimizer and rate in a comparison of recipes.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

from harness.config.protocol import Protocol
from harness.config.suite import Suite
from harness.records.run import RunRecord
from harness.report.grouping import Group, grouped
from harness.report.store import Run


@dataclass(frozen=True, kw_only=True)
class Family:
    """Groups of one protocol, data, precision and initial weights; full and reduced ones never mix.

    slug: name of the family's folder. name: of the protocol, without what the suite varies.
    class_weightings: the suite's, then further ones that were run.
    """

    slug: str
    name: str
    class_weightings: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def first(self) -> Group:
        """Any of the groups, for what they share."""
        return self.groups[0]

    @property
    def networks(self) -> list[str]:
        """Architectures with a finished or failed run, in the order of the report."""
        finished = [name for group in self.groups for name in group.networks]
        return list(dict.fromkeys([*finished, *(record.spec.network for record in self.failed)]))

    @property
    def runs(self) -> list[Run]:
        """The finished runs of all class_weightings."""
        return [run for group in self.groups for run in group.runs]

    @property
    def failed(self) -> list[RunRecord]:
        """The failed runs of all class_weightings."""
        return [record for group in self.groups for record in group.failed]

    def of(self, class_weighting: str) -> Group | None:
        """The group of a class_weighting, if there is one."""
        return next((group for group in self.groups if group.protocol.class_weighting == class_weighting), None)


def families(suite: Suite, groups: Iterable[Group]) -> tuple[Family, ...]:
    """The groups joined where the suite's table joins them, in the order in which their first groups come."""
    varied = suite.varied if suite.table in ("table1", "table4", "recipes") else ()
    found = []
    for joined in grouped(groups, lambda group: (group.key.without(*varied), group.reduced)):
        first = joined[0]
        ran = [group.protocol.class_weighting for group in joined]
        found.append(
            Family(
                slug=first.key.without(*varied).slug,
                name=without(first.protocol.title, first.protocol, varied),
                class_weightings=tuple(dict.fromkeys([*suite.class_weightings, *ran])),
                groups=tuple(joined),
            )
        )
    return tuple(found)


def without(text: str, protocol: Protocol, varied: Container[str]) -> str:
    """A protocol's title without those of its overrides that vary."""
    for field, value in protocol.overrides.items():
        if field in varied:
            text = text.replace(f"+{field}={value}", "")
    return text
