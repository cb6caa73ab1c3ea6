"""The one table at the top: each network's mIoU with interval, difference to the paper, BF, size and costs."""

import numpy as np
import pandas as pd

from harness.records.measurement import MeasurementRecord
from harness.records.run import BEST
from harness.report.accuracy import Scores, score_cells, seed_cells, with_marks
from harness.report.costs import BY_NAME
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import (
    SCORES_TABLES,
    PaperScores,
    column,
    paper_scores,
    score,
    score_notes,
    seeds,
)
from harness.report.tables.render import signed, significant
from harness.report.tables.spec import Column, TableSpec

COSTS = ("memory_mib", "latency_ms", "energy_j")


def shown_label(section: Section) -> str:
    """The checkpoint that the overview is of: of Table 1 the chosen one, else the group's."""
    return BEST if section.suite.table in ("table1", "table4") else section.group.shown_label


def split_of(section: Section) -> str:
    """test, or val for recipes that are compared there."""
    return "test" if section.group.protocol.score_test else "val"


def overview(section: Section) -> pd.DataFrame:
    """A row for each class weighting and network, those with the highest mIoU first.

    Columns network, architecture, class_weighting, protocol, checkpoint, split, seeds, failed_seeds, status,
    of each metric M_paper, M_ours, M_difference, M_std, M_low, M_high, M_tie, M_best; parameters,
    memory_mib (of inference at batch 1: the allocator's peak on a GPU, else live tensors as counted),
    latency_ms (of a forward pass at batch 1), energy_j (above idle, an image).
    """
    published = paper_scores(section)
    rows = [_row(section, group, network, published) for group in section.groups for network in group.ran]
    if not rows:
        return pd.DataFrame()
    frame = with_marks(pd.DataFrame(rows), ["protocol"])
    order = {weighting: place for place, weighting in enumerate(dict.fromkeys(frame["protocol"]))}
    frame = frame.assign(order=frame["protocol"].map(order))
    return frame.sort_values(["order", "mIoU_ours"], ascending=[True, False], kind="stable").drop(columns="order")


def _row(section: Section, group: Group, network: str, published: PaperScores) -> dict[str, object]:
    runs, failed, label = group.of(network), group.failed_of(network), shown_label(section)
    found = Scores.of(runs, split_of(section), label)
    counted = next((run.record.parameters for run in runs if run.record.parameters), None)
    measured = section.costs.of(network) if section.costs else None
    cells: dict[str, object] = {
        "network": title(network),
        "architecture": network,
        "class_weighting": group.protocol.class_weighting,
        "protocol": group.protocol.title,
        "checkpoint": label,
        "split": split_of(section),
        **seed_cells(found, failed, ran=True),
        "scores": found,
    }
    cells |= score_cells(found, published.get((title(network), group.protocol.class_weighting, label), {}))
    return cells | {"parameters": np.nan if counted is None else counted} | cost_cells(measured)


def cost_cells(record: MeasurementRecord | None) -> dict[str, float]:
    """Memory and latency of inference at batch 1, and energy; NaN where there is none."""
    if record is None:
        return dict.fromkeys(COSTS, np.nan)
    memory = "inference_allocated_mib" if record.spec.device == "cuda" else "inference_live_mib"
    found = [BY_NAME[name].read(record).value for name in (memory, "forward_ms", "energy_j")]
    return {name: np.nan if value is None else value for name, value in zip(COSTS, found, strict=True)}


def columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    """What there is of them."""
    found = [column("network", "network", text=True)]
    if frame["protocol"].nunique() > 1:
        if section.suite.table == "recipes":
            found.append(column("recipe", "protocol", lambda title: _varied(section, title), text=True))
        else:
            found.append(column("class weights", "class_weighting", text=True))
    found += [
        Column(header="seeds", cell=seeds),
        Column(header="mIoU %", cell=score("mIoU", interval=True)),
    ]
    if frame["mIoU_paper"].notna().any():
        found.append(column("to the paper †", "mIoU_difference", signed))
    if frame["BF_ours"].notna().any():
        found.append(Column(header="BF %", cell=score("BF", interval=False)))
    found.append(column("parameters, M", "parameters", lambda value: f"{value / 1e6:.1f}"))
    heads = {"memory_mib": "memory, MiB", "latency_ms": "latency, ms", "energy_j": "energy, J"}
    return found + [column(head, cost, significant) for cost, head in heads.items() if frame[cost].notna().any()]


def _varied(section: Section, protocol: str) -> str:
    group = next(group for group in section.groups if group.protocol.title == protocol)
    return " ".join(f"{field}={value}" for field, value in group.protocol.overrides.items()) or "as it is"


def notes(section: Section, frame: pd.DataFrame) -> list[str]:
    """Ids of its notes."""
    found = ["shown", *score_notes(section, frame)]
    if frame[list(COSTS)].notna().any().any():
        found.append("costs")
    if frame["architecture"].isin(["fcn8s", "fcn8s-bilinear"]).any() and section.costs:
        found.append("fcn-padding")
    return found


TABLE = TableSpec(
    name="overview",
    heading="Result",
    place=0,
    values=overview,
    fills=SCORES_TABLES,
    columns=columns,
    notes=notes,
)
