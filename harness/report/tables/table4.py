"""Tables 4 and 5: SUN RGB-D, or a dataset that is a part of it: scores in the form of Table 3, SegNet class by class.

The groups differ in the class weights of the loss: a network that was trained with others than the protocol's
own is a row of its own, named as the paper names it.
"""

from dataclasses import replace

import pandas as pd

from harness import paper
from harness.config.protocol import load_protocol
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.tables import table3
from harness.report.tables.cells import BALANCED, column
from harness.report.tables.per_class import per_class
from harness.report.tables.render import percent, signed
from harness.report.tables.spec import Column, TableSpec

CLASSES_OF = "segnet"  # whose classes Table 5 has


def own_group(section: Section) -> Group | None:
    """The group with the class weighting of the protocol itself, if there is one."""
    return section.of(load_protocol(section.group.protocol.name).class_weighting)


def table4(section: Section) -> pd.DataFrame:
    """Columns of `table3.table3` and, before them, the class weighting that each row was trained with.

    A network's rows with another class weighting follow its own. Of the paper there are its best rows, and those at
    iterations scored here.
    """
    own, labels = own_group(section), section.group.labels
    published = [row for row in paper.sun_accuracies() if row.checkpoint == PAPER_BEST or row.checkpoint in labels]
    others = {BALANCED[group.protocol.class_weighting]: group for group in section.groups if group is not own}
    theirs = [row for row in published if not row.network.endswith(tuple(others))]
    natural = load_protocol(section.group.protocol.name).class_weighting
    # in place of the group with the protocol's own class weighting, where that was not run
    found = [("", natural, table3.table3(own or replace(section.group, runs=(), failed=()), theirs))]
    for ending, group in others.items():
        marked = [row for row in published if row.network.endswith(ending)]
        frame = table3.table3(group, [replace(row, network=row.network.removesuffix(ending)) for row in marked])
        found.append((ending, group.protocol.class_weighting, frame))
    joined = pd.concat(
        [
            frame.assign(class_weighting=weighting, bare=frame["network"], network=frame["network"] + ending)
            for ending, weighting, frame in found
            if len(frame)
        ]
    )
    joined.insert(0, "class_weighting", joined.pop("class_weighting"))
    order = pd.factorize(joined.pop("bare"))[0].argsort(kind="stable")
    return joined.iloc[order].reset_index(drop=True)


def table5(section: Section) -> pd.DataFrame:
    """Accuracy of every class of SegNet on test at the iteration chosen on val: a row a class, and their mean.

    The mean is over the classes that have a value. Columns class, paper, labeled_pixels, then for each class
    weighting B with runs of SegNet B_ours and B_std (percent, over seeds), and B_difference for the protocol's own.
    Empty without a run of SegNet.
    """
    own = own_group(section)
    found = sorted((group for group in section.groups if group.of(CLASSES_OF)), key=lambda group: group is not own)
    if not found:
        return pd.DataFrame()
    published = pd.Series(paper.sun_class_accuracies()).reindex(section.dataset.classes)
    rows: dict[str, object] = {"class": list(section.dataset.classes), "paper": published.to_list()}
    for group in found:
        rows |= _of_group(group, section, published, differs=group is own)
    frame = pd.DataFrame(rows)
    means = frame.mean(numeric_only=True).to_dict()
    means |= {column: float("nan") for column in frame if str(column).endswith("_std")}
    means["labeled_pixels"] = frame["labeled_pixels"].sum()
    last = pd.DataFrame([{"class": "class average", **means}])
    return pd.concat([frame, last], ignore_index=True).astype({"labeled_pixels": "int64"})


def _of_group(group: Group, section: Section, published: "pd.Series[float]", *, differs: bool) -> dict[str, object]:
    values = per_class(group, section.dataset, BEST)
    values = values[values["architecture"] == CLASSES_OF]
    weighting, ours = group.protocol.class_weighting, values["accuracy"].to_numpy()
    cells: dict[str, object] = {
        "labeled_pixels": values["labeled_pixels"].to_list(),
        f"{weighting}_ours": ours.tolist(),
        f"{weighting}_std": values["accuracy_std"].to_list(),
    }
    return cells | ({f"{weighting}_difference": (ours - published.to_numpy()).tolist()} if differs else {})


def _class_columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    found = [column("class", "class", text=True), column("paper %", "paper", percent)]
    for head in frame:
        weighting, _, what = str(head).rpartition("_")
        if what == "ours":
            found.append(column(f"{weighting} %", str(head), percent))
        elif what == "difference":
            found.append(column("difference †", str(head), signed))
    return found


TABLE = (
    TableSpec(
        name="table4",
        heading="Table 4: scores on test",
        place=10,
        values=table4,
        fills=("table4",),
        columns=table3.columns,
        notes=table3.notes,
        latex=True,
    ),
    TableSpec(
        name="table5",
        heading="Table 5: accuracy of each class, SegNet",
        place=20,
        values=table5,
        fills=("table4",),
        columns=_class_columns,
        notes=lambda section, frame: ("difference", "chosen"),
        latex=True,
    ),
)
