"""The same networks trained by others on the same 367 images of CamVid."""

from collections.abc import Sequence

import pandas as pd

from harness.paper.published import others_table
from harness.report.accuracy import scored_at
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import column
from harness.report.tables.render import percent
from harness.report.tables.spec import Column, TableSpec


def others(section: Section) -> pd.DataFrame:
    """A row a source, ours first: source, mIoU on test of each network by its title (percent), remarks.

    Empty where the runs are not of CamVid, or none of its networks was trained by others.
    """
    if section.dataset.name != "camvid" or len(section.groups) != 1:
        return pd.DataFrame()
    group = section.group
    rows = [
        {"network": network, "title": title(network), "miou": 100 * one.scores.miou}
        for network in group.networks
        for one in scored_at(group.of(network), "test", group.shown_label)
        if "+" not in network  # others refine nothing
    ]
    if not rows:
        return pd.DataFrame()
    table = others_table(pd.DataFrame(rows))
    return table if len(table) > 1 else pd.DataFrame()


def _columns(section: Section, frame: pd.DataFrame) -> Sequence[Column]:
    networks = [str(name) for name in frame.columns if name not in ("source", "remarks")]
    scores = [column(network, network, percent) for network in networks]
    return [column("source", "source", text=True), *scores, column("remarks", "remarks")]


TABLE = TableSpec(
    name="others",
    heading="mIoU on test: the same networks trained by others on the same 367 images, %",
    place=25,
    values=others,
    fills=("table3",),
    columns=_columns,
    notes=lambda section, frame: ("others",),
)
