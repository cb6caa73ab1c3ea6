"""Table 5: accuracy of every class of SegNet on test at the iteration chosen on val, beside the paper's."""

import pandas as pd

from harness import paper
from harness.records.run import BEST
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.tables.cells import column
from harness.report.tables.per_class import per_class
from harness.report.tables.render import percent, signed
from harness.report.tables.spec import Column, TableSpec
from harness.report.tables.table4 import own_group

NETWORK = "segnet"


def table5(section: Section) -> pd.DataFrame:
    """A row a class, and the mean over the classes that have a value.

    Columns class, paper, labeled_pixels, then for each class weighting B with runs of SegNet B_ours and B_std
    (percent, over seeds), and B_difference for the protocol's own. Empty without a run of SegNet.
    """
    own = own_group(section)
    found = sorted((group for group in section.groups if group.of(NETWORK)), key=lambda group: group is not own)
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
    values = values[values["architecture"] == NETWORK]
    weighting, ours = group.protocol.class_weighting, values["accuracy"].to_numpy()
    cells: dict[str, object] = {
        "labeled_pixels": values["labeled_pixels"].to_list(),
        f"{weighting}_ours": ours.tolist(),
        f"{weighting}_std": values["accuracy_std"].to_list(),
    }
    return cells | ({f"{weighting}_difference": (ours - published.to_numpy()).tolist()} if differs else {})


def _columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    found = [column("class", "class", text=True), column("paper %", "paper", percent)]
    for head in frame:
        weighting, _, what = str(head).rpartition("_")
        if what == "ours":
            found.append(column(f"{weighting} %", str(head), percent))
        elif what == "difference":
            found.append(column("difference †", str(head), signed))
    return found


TABLE = TableSpec(
    name="table5",
    heading="Table 5: accuracy of each class",
    place=20,
    values=table5,
    fills=("table4",),
    columns=_columns,
    notes=lambda section, frame: ("difference", "chosen"),
    latex=True,
)
