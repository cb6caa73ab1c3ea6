"""Cells and notes that several tables of scores share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from datasets import DatasetInfo
from harness import paper
from harness.config.protocol import load_protocol
from harness.config.run_spec import EVALUATION_REVISION
from harness.config.suite import Suite
from harness.records.run import BEST, RunRecord
from harness.report.accuracy import CLASS_COUNTS, FINISHED, PAPER_BEST
from harness.report.comparability import not_like_for_like
from harness.report.grouping import Group
from harness.report.sections import Section
from harness.report.store import Run, architecture_info
from harness.report.tables.render import bounds, percent
from harness.report.tables.spec import Column, Row

# The paper's rows of scores, by the table that a suite fills.
PUBLISHED: dict[str, Callable[[], tuple[paper.Accuracy, ...]]] = {
    "table3": paper.accuracies,
    "table4": paper.sun_accuracies,
}


def beside_paper(section: Section) -> bool:
    """Whether figures of the paper may stand beside these scores."""
    return suite_beside_paper(section.suite, section.dataset, section.networks)


def suite_beside_paper(suite: Suite, dataset: DatasetInfo, networks: Iterable[str]) -> bool:
    """Whether the suite's table of the paper may stand beside scores: of its data, and of some network of the suite."""
    compared = suite.table in ("table1", *PUBLISHED) and bool(not_like_for_like(dataset))
    return compared and suite.names_any(networks)


# All tables of suites but a comparison of recipes.
SCORES_TABLES = ("table1", *PUBLISHED, "none")
# What stands behind a network's name in the row of another class weighting; the paper has the first.
BALANCED: Mapping[str, str] = {
    "median": " (median frequency balancing)",
    "inverse-root": " (frequency to the -1/2)",
    "natural": " (no class_weighting)",
    "segnet-release": " (SegNet's released weights)",
}


PaperScores = Mapping[tuple[str, str, str], Mapping[str, float]]


def paper_scores(section: Section) -> PaperScores:
    """The paper's scores on test by network's title, class weighting and checkpoint; none where they may not stand."""
    if not beside_paper(section):
        return {}
    if section.suite.table == "table1":
        return {
            (row.variant, weights, BEST): scores
            for row in paper.decoders()
            for (weights, split), scores in row.scores.items()
            if split == "test"
        }
    protocol = section.group.protocol
    # of Table 4 the groups differ in it
    own = load_protocol(protocol.name) if section.suite.table == "table4" else protocol
    found = {}
    for row in PUBLISHED[section.suite.table]():
        weights = next((one for one, end in BALANCED.items() if row.network.endswith(end)), own.class_weighting)
        network = row.network.removesuffix(BALANCED[weights])
        found[network, weights, BEST if row.checkpoint == PAPER_BEST else row.checkpoint] = row.scores
    return found


def column(
    header: str, source: str, show: Callable[[Any], str] = str, *, top: str = "", text: bool = False, missing: str = "–"
) -> Column:
    """A column that shows one column of the frame; `missing` where there is no value, or where it shows as nothing."""

    def cell(row: Row) -> str:
        value = row[source]
        return missing if value is None or pd.isna(value) else show(value) or missing

    return Column(header=header, cell=cell, top=top, text=text)


def score(metric: str, *, interval: bool) -> Callable[[Row], str]:
    """Our score in bold where it is the best or ties with it, with its interval; or the status."""

    def cell(row: Row) -> str:
        value = row[f"{metric}_ours"]
        if pd.isna(value):
            return "–" if row["status"] == FINISHED or metric != "mIoU" else str(row["status"])
        text = f"**{percent(value)}**" if row.get(f"{metric}_best") else percent(value)
        return text + bounds(row[f"{metric}_low"], row[f"{metric}_high"]) if interval else text

    return cell


def seeds(row: Row) -> str:
    """How many seeds were scored, and how many failed."""
    return f"{row['seeds']} ({row['failed_seeds']} failed)" if row["failed_seeds"] else str(row["seeds"] or "–")


def loaded(group: Group, runs: Sequence[Run], failed: Sequence[RunRecord] = ()) -> dict[str, object]:
    """initial_weights, layers_loaded ("7 of 13"), layers_drawn: fully connected layers that stayed drawn."""
    records = [*(run.record for run in runs), *failed]
    cells: dict[str, object] = {"initial_weights": records[0].spec.initial_weights.title if records else None}
    if not runs or group.weights.kind == "none":
        return cells | {"layers_loaded": None, "layers_drawn": None}
    record = runs[0].record
    info = architecture_info(record.spec.architecture)
    connected = info.fully_connected if info else ()
    drawn = ", ".join(name for name in connected if name not in record.layers_set)
    return cells | {
        "layers_loaded": f"{len(record.layers_set)} of {record.encoder_layers}",
        "layers_drawn": drawn or None,
    }


def score_notes(section: Section, frame: pd.DataFrame) -> list[str]:
    """Ids of the notes that a table of scores needs."""
    notes = ["metrics"]
    if beside_paper(section) and any("_paper" in str(column) for column in frame):
        notes.append("difference")
    if section.group.spec.evaluation_revision != EVALUATION_REVISION:
        notes.append("evaluation")
    if frame.get("mIoU_low", pd.Series(dtype=float)).notna().any():
        notes.append("interval")
    if any(frame[column].any() for column in frame if str(column).endswith("_best")):
        notes.append("bold")
    if "classes" in frame:
        scored = frame[frame["classes"].notna()]
        if any(scored[over].ne(scored["classes"]).any() for over in CLASS_COUNTS):  # C or mIoU are not over all of them
            notes.append("absent")
    return notes


def mean_or_nan(values: Sequence[float]) -> float:
    """The mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else np.nan
