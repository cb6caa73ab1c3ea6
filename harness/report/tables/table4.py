"""Table 4: SUN RGB-D, or a dataset that is a part of it, in the form of Table 3.

The groups differ in the class weights of the loss: a network that was trained with others than the protocol's
own is a row of its own, named as the paper names it.
"""

from dataclasses import replace

import pandas as pd

from harness import paper
from harness.config.protocol import load_protocol
from harness.report.accuracy import PAPER_BEST
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.tables import table3
from harness.report.tables.cells import BALANCED
from harness.report.tables.spec import TableSpec


def own_group(section: Section) -> Group | None:
    """The group with the class weighting of the protocol itself, if there is one."""
    return section.of(load_protocol(section.group.protocol.name).class_weighting)


def published_rows(section: Section) -> list[paper.Accuracy]:
    """The paper's rows that ours can stand beside: its best ones, and those at iterations scored here."""
    labels = section.group.labels
    return [row for row in paper.sun_accuracies() if row.checkpoint == PAPER_BEST or row.checkpoint in labels]


def table4(section: Section) -> pd.DataFrame:
    """Columns of `table3.table3` and, before them, the class weighting that each row was trained with."""
    own = own_group(section)
    others = [group for group in section.groups if group is not own]
    published = published_rows(section)
    endings = tuple(BALANCED[group.protocol.class_weighting] for group in others)
    theirs = [row for row in published if not row.network.endswith(endings or ("\0",))]
    # in place of the group with the protocol's own class weighting, where that was not run
    group = own or replace(section.group, runs=(), failed=())
    natural = load_protocol(section.group.protocol.name).class_weighting
    frames = [table3.table3(group, theirs).assign(class_weighting=natural)]
    for group, ending in zip(others, endings, strict=True):
        marked = [row for row in published if row.network.endswith(ending)]
        frame = table3.table3(group, [replace(row, network=row.network.removesuffix(ending)) for row in marked])
        frames.append(frame.assign(network=frame["network"] + ending, class_weighting=group.protocol.class_weighting))
    joined = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    joined.insert(0, "class_weighting", joined.pop("class_weighting"))
    return joined.iloc[_order(list(joined["network"]), endings)].reset_index(drop=True)


def _order(networks: list[str], endings: tuple[str, ...]) -> list[int]:
    """Places of the rows such that a network's rows with another class weighting follow its own."""
    bare = []
    for network in networks:
        ending = next((one for one in endings if network.endswith(one)), "")
        bare.append(network.removesuffix(ending))
    first = {network: place for place, network in reversed(list(enumerate(bare)))}
    return sorted(range(len(networks)), key=lambda place: (first[bare[place]], place))


TABLE = TableSpec(
    name="table4",
    heading="Table 4: scores on test",
    place=10,
    values=table4,
    fills=("table4",),
    columns=table3.columns,
    notes=table3.notes,
    latex=True,
)
