"""Tables 4 and 5 of one family of groups as frames of values: SUN RGB-D, or a dataset that is a part of it.

Table 4 has the form of Table 3. The family's groups differ in the class weights of the loss: a network that
was trained with others than the protocol's own is a row of its own, named as the paper names it.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.config.protocol import load_protocol
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST, per_class, table3
from harness.report.accuracy_tables import with_origin
from harness.report.families import Family
from harness.report.groups import Group, title
from harness.report.table6 import REFERENCES

# What stands behind a network's name in the row of another class weighting; the paper has the first.
BALANCED: Mapping[str, str] = {
    "median": " (median frequency balancing)",
    "inverse-root": " (frequency to the -1/2)",
    "natural": " (no class_weighting)",
    "segnet-release": " (SegNet's released weights)",
}
REFERENCE = REFERENCES["table4"]


def own_group(family: Family) -> Group | None:
    """The group with the class weighting of the protocol itself, if there is one."""
    return family.of(load_protocol(family.first.protocol.name).class_weighting)


def published_rows(family: Family) -> list[paper.Accuracy]:
    """The paper's rows that ours can stand beside: its best ones, and those at iterations scored here."""
    labels = family.first.labels
    return [row for row in paper.sun_accuracies() if row.checkpoint == PAPER_BEST or row.checkpoint in labels]


def table4(family: Family, dataset: DatasetInfo) -> pd.DataFrame:
    """Table 4: columns of `accuracy.table3` and, before them, what each row was made under."""
    own = own_group(family)
    others = [group for group in family.groups if group is not own]
    published = published_rows(family)
    endings = tuple(BALANCED[group.protocol.class_weighting] for group in others)
    theirs = [row for row in published if not row.network.endswith(endings or ("\0",))]
    group = own or _nothing_run(family)
    frames = [with_origin(group, table3(group, dataset, published=theirs))]
    for group, ending in zip(others, endings, strict=True):
        theirs = [
            replace(row, network=row.network.removesuffix(ending)) for row in published if row.network.endswith(ending)
        ]
        frame = table3(group, dataset, published=theirs)
        frames.append(with_origin(group, frame.assign(network=frame["network"] + ending)))
    joined = pd.concat(frames, ignore_index=True)
    return joined.iloc[_order(list(joined["network"]), endings)].reset_index(drop=True)


def _nothing_run(family: Family) -> Group:
    """In place of the group with the protocol's own class_weighting, where that was not run."""
    own = load_protocol(family.first.protocol.name).class_weighting
    protocol = family.first.protocol.model_copy(update={"name": family.name, "class_weighting": own})
    return replace(family.first, protocol=protocol, runs=(), failed=())


def _order(networks: list[str], endings: tuple[str, ...]) -> list[int]:
    """RunContext of the rows so that a network's rows with another class weighting follow its own."""
    plain = []
    for name in networks:
        ending = next((one for one in endings if name.endswith(one)), "")
        plain.append(name.removesuffix(ending))
    first = {name: place for place, name in reversed(list(enumerate(plain)))}
    return sorted(range(len(networks)), key=lambda place: (first[plain[place]], place))


def table5(family: Family, dataset: DatasetInfo) -> pd.DataFrame | None:
    """Table 5: accuracy of every class on test at the best iteration by val; none without a run of SegNet.

    Columns class, paper, labeled_pixels, then for each class weighting B with runs B_ours and B_std, and
    B_difference for the protocol's own. Percent, mean over seeds; the last row is the mean over the classes
    that have a value.
    """
    published = pd.Series(paper.sun_class_accuracies()).reindex(dataset.classes)
    rows: dict[str, object] = {"class": list(dataset.classes), "paper": published.to_list()}
    own = own_group(family)
    found = [group for group in family.groups if group.of(REFERENCE)]
    for group in sorted(found, key=lambda group: group is not own):
        values = per_class(group, dataset, BEST)
        values = values[values["network"] == title(REFERENCE)]
        rows.setdefault("labeled_pixels", values["labeled_pixels"].to_list())
        name = group.protocol.class_weighting
        ours = values["accuracy"].to_numpy()
        rows |= {f"{name}_ours": ours.tolist(), f"{name}_std": values["accuracy_std"].to_list()}
        if group is own:
            rows[f"{name}_difference"] = (ours - published.to_numpy()).tolist()
    if not found:
        return None
    frame = pd.DataFrame(rows)
    means = frame.mean(numeric_only=True).to_dict()
    means |= {name: float("nan") for name in frame if str(name).endswith("_std")}
    means["labeled_pixels"] = frame["labeled_pixels"].sum()
    last = pd.DataFrame([{"class": "class average", **means}])
    return pd.concat([frame, last], ignore_index=True).astype({"labeled_pixels": "int64"})
