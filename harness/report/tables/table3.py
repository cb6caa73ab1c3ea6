"""Table 3: scores of a group on test, a row for each network and checkpoint, beside the paper's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness import paper
from harness.metrics.bootstrap import SCORES
from harness.paper.published import others_table
from harness.records.run import BEST
from harness.report.accuracy import (
    CLASS_COUNTS,
    PAPER_BEST,
    Scores,
    score_cells,
    scored_at,
    seed_cells,
    span,
    with_marks,
)
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.cells import (
    PUBLISHED,
    beside_paper,
    column,
    loaded,
    score,
    score_notes,
    seeds,
)
from harness.report.tables.render import percent
from harness.report.tables.spec import Column, TableSpec

_COUNTS = ("paper_iterations", "seeds", "images", *CLASS_COUNTS)


# What one row is about: title, architecture, checkpoint and the paper's row.
_Row = tuple[str, str | None, str, paper.Accuracy | None]


def table3(group: Group, published: Sequence[paper.Accuracy] = ()) -> pd.DataFrame:
    """A row for each network and checkpoint on test, in the paper's order; ours, and beside it the paper's.

    Columns network, architecture, checkpoint, paper_iterations, iterations (text: seeds may differ where val
    chose), initial_weights, layers_loaded, layers_drawn, seeds, failed_seeds, status, images, then for each
    metric M_paper, M_ours, M_difference, M_std, M_low, M_high, what the class means are over, M_tie and
    M_best: whether it is the highest of its checkpoint or not told from it; and of a refined network
    dense_crf_ms, the median time of the CRF for one image.
    """
    frame = pd.DataFrame([_cells(group, *row) for row in _rows(group, published)])
    if frame.empty:
        return frame
    frame = frame.astype(dict.fromkeys(_COUNTS, "Int64"))
    frame = with_marks(frame, ["checkpoint"])
    if any(run.record.crf for run in group.runs):
        frame["dense_crf_ms"] = [_crf_ms(group, network) for network in frame["architecture"]]
    return frame if published else frame.drop(columns=[c for c in map(str, frame) if "paper" in c or "difference" in c])


def _rows(group: Group, published: Sequence[paper.Accuracy]) -> list[_Row]:
    titles = {network: title(network) for network in group.ran}
    names = list(dict.fromkeys([row.network for row in published]))
    rows: list[_Row] = []
    for network in [*names, *(text for text in dict.fromkeys(titles.values()) if text not in names)]:
        theirs = {_label(row.checkpoint): row for row in published if row.network == network}
        ours: list[str | None] = [own for own in group.ran if titles[own] == network]
        for architecture in ours or [None]:
            labels = list(dict.fromkeys([*(_labels(group, architecture) if architecture else ()), *theirs]))
            for label in sorted(labels, key=lambda label: label == BEST):
                rows.append((network, architecture, label, theirs.get(label)))
    return rows


def _labels(group: Group, network: str) -> list[str]:
    """Rows of a network: all of the group's; of a refined one the chosen one's and those it was scored at."""
    runs = group.of(network)
    records = [run.record for run in runs] + group.failed_of(network)
    if not any(record.spec.postprocess for record in records):
        return group.labels
    return [label for label in group.labels if label == BEST or any(run.at("test", label) for run in runs)]


def _label(checkpoint: str) -> str:
    return BEST if checkpoint == PAPER_BEST else checkpoint


def _cells(
    group: Group, network: str, architecture: str | None, label: str, published: paper.Accuracy | None
) -> dict[str, object]:
    runs = group.of(architecture) if architecture else []
    failed = group.failed_of(architecture) if architecture else []
    found = Scores.of(runs, "test", label)
    cells: dict[str, object] = {
        "network": network,
        "architecture": architecture,
        "checkpoint": label,
        "paper_iterations": published.iterations if published else None,
        "iterations": span(found.iterations) if found else None,
        **loaded(group, runs, failed),
        **seed_cells(found, failed, ran=architecture is not None),
        "images": found.scored[0].evaluation.images if found else None,
        "scores": found,
    }
    return cells | score_cells(found, published.scores if published else {})


def _crf_ms(group: Group, network: object) -> float:
    times = [run.record.crf.time.median_ms for run in group.of(str(network)) if run.record.crf]
    return float(np.mean(times)) if times else np.nan


def columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    """Ours with intervals of mIoU, then the paper's."""
    found = [
        column("network", "network", text=True),
        column("checkpoint", "checkpoint", text=True),
        column("iterations", "iterations"),
        Column(header="seeds", cell=seeds),
    ]
    found += [
        Column(header=f"{metric} %", cell=score(metric, interval=metric == "mIoU"), top="ours") for metric in SCORES
    ]
    if "mIoU_paper" in frame:
        found.append(column("iterations, paper", "paper_iterations", "{:,.0f}".format, top="paper"))
        found += [column(f"{one} %, paper", f"{one}_paper", percent, top="paper") for one in SCORES]
    if "dense_crf_ms" in frame:
        found.append(column("CRF, s an image", "dense_crf_ms", lambda value: f"{value / 1000:.2f}"))
    return found


def notes(section: Section, frame: pd.DataFrame) -> list[str]:
    """Ids of its notes."""
    found = score_notes(section, frame)
    if (frame["checkpoint"] == BEST).any():
        found.append("chosen")
    if "dense_crf_ms" in frame:
        found.append("crf")
    if frame["architecture"].isin(["fcn8s", "fcn8s-bilinear"]).any():
        found.append("fcn-padding")
    return found


def _values(section: Section) -> pd.DataFrame:
    rows = PUBLISHED["table3"]() if section.suite.table == "table3" and beside_paper(section) else ()
    return table3(section.group, rows)


def others(section: Section) -> pd.DataFrame:
    """The same networks trained by others on the same 367 images of CamVid: a row a source, ours first.

    Columns source, mIoU on test of each network by its title (percent), remarks.

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


def _others_columns(section: Section, frame: pd.DataFrame) -> list[Column]:
    networks = [str(name) for name in frame.columns if name not in ("source", "remarks")]
    scores = [column(network, network, percent) for network in networks]
    return [column("source", "source", text=True), *scores, column("remarks", "remarks")]


TABLE = (
    TableSpec(
        name="table3",
        heading="Scores on test",
        place=10,
        values=_values,
        fills=("table3", "none"),
        columns=columns,
        notes=notes,
        latex=True,
    ),
    TableSpec(
        name="others",
        heading="mIoU on test: the same networks trained by others on the same 367 images, %",
        place=25,
        values=others,
        fills=("table3",),
        columns=_others_columns,
        notes=lambda section, frame: ("others",),
    ),
)
