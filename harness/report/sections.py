"""Sections: the groups of a suite that one page joins, since they are equal but for what the suite varies.

That is the class weights in the loss in Tables 1 and 4, and optimizer and rate in a comparison of recipes.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

from datasets import DatasetInfo
from harness.config.suite import Suite
from harness.records.measurement import INFERENCE_BATCH, PAPER_SIZE
from harness.report.collect import SuiteRecords
from harness.report.grouping import Group, grouped, input_size
from harness.report.render import render
from harness.report.resources import MeasurementGroup
from harness.report.store import Run


@dataclass(frozen=True, kw_only=True, eq=False)
class Section:
    """What the tables of a page are made of; full and reduced runs never mix.

    groups: of one protocol, data, precision and initial weights; none: of tables of costs. slug: name of its folder.
    name: of the protocol, without what the suite varies. class_weightings: the suite's, then further ones that were
    run. device: the measurements of one device, of tables of costs.
    """

    records: SuiteRecords
    groups: tuple[Group, ...] = ()
    slug: str = ""
    name: str = ""
    class_weightings: tuple[str, ...] = ()
    device: MeasurementGroup | None = None

    @property
    def suite(self) -> Suite:
        """Whose page it is."""
        return self.records.suite

    @property
    def dataset(self) -> DatasetInfo:
        """Of the groups, else of the suite."""
        return self.group.dataset if self.groups else self.records.dataset

    @property
    def group(self) -> Group:
        """Any of the groups, for what they share."""
        return self.groups[0]

    @property
    def networks(self) -> list[str]:
        """Architectures with a finished or failed run, in the order of the report."""
        failed = [record.spec.network for group in self.groups for record in group.failed]
        return list(dict.fromkeys([*(name for group in self.groups for name in group.networks), *failed]))

    @property
    def runs(self) -> list[Run]:
        """The finished runs of all class weightings."""
        return [run for group in self.groups for run in group.runs]

    def of(self, class_weighting: str) -> Group | None:
        """The group of a class weighting, if there is one."""
        return next((group for group in self.groups if group.protocol.class_weighting == class_weighting), None)

    @property
    def costs(self) -> MeasurementGroup | None:
        """The one group of plain measurements that stands beside the scores; in tables of costs the device's."""
        return next(iter(self.costs_by_fit), None)

    @cached_property
    def costs_by_fit(self) -> tuple[MeasurementGroup, ...]:
        """The groups of plain measurements that fit the runs, the best first; in tables of costs the device's.

        They are at the runs' input, else at the paper's; for Table 1 at the paper's first. They are in the runs'
        precision, else in fp32, in which trained weights are kept whatever the precision of training. What was
        measured in part, such as times alone, is left out, for it has no memory to show. Of several groups the one
        that holds most of the networks comes first; among equals a GPU's. What shows them says where they differ
        from the runs.
        """
        if not self.groups:
            return (self.device,) if self.device else ()
        sizes, networks = [input_size(self.group.protocol, self.dataset), PAPER_SIZE], [*self.networks]
        if self.suite.table == "table1":  # which shows what was not run too
            sizes.reverse()
            networks += self.suite.architectures
        wanted = list(dict.fromkeys(product(sizes, (self.group.spec.precision, "fp32"))))
        whole = [
            one
            for one in self.records.measurements.groups
            if one.plain
            and ("shapes", INFERENCE_BATCH) in one.timed
            and one.first.spec.num_classes == self.dataset.num_classes
            and (one.size, one.first.spec.precision) in wanted
            and any(map(one.of, networks))
        ]

        def order(one: MeasurementGroup) -> tuple[int, int]:
            return wanted.index((one.size, one.first.spec.precision)), -sum(map(bool, map(one.of, networks)))

        return tuple(sorted(whole, key=order))


def sections(records: SuiteRecords) -> list[Section]:
    """The sections of a suite's page that have scores, in the order in which their first groups come."""
    suite = records.suite
    varied = suite.varied if suite.table in ("table1", "table4", "recipes") else ()
    found = []
    for groups in grouped(records.groups, lambda group: (group.key.without(*varied), group.reduced)):
        protocol, name = groups[0].protocol, groups[0].protocol.title
        for field, value in protocol.overrides.items():
            if field in varied:
                name = name.replace(f"+{field}={value}", "")
        ran = [group.protocol.class_weighting for group in groups]
        found.append(
            Section(
                records=records,
                groups=tuple(groups),
                slug=groups[0].key.without(*varied).slug,
                name=name,
                class_weightings=tuple(dict.fromkeys([*suite.class_weightings, *ran])),
            )
        )
    return found


def heading(section: Section) -> str:
    """`CamVid, full resolution, 2,150 iterations of AdamW`: what a person would call it."""
    return render("heading.md.j2", section=section, size=input_size(section.group.protocol, section.dataset)).strip()
