"""Scores of a network over its seeds, in percent, and the cells of tables that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.metrics.significance import interval
from harness.records.run import BEST, RunRecord
from harness.report.grouping import Group
from harness.report.metrics import FURTHER_METRICS, METRICS, PAPER_METRICS
from harness.report.samples import sample
from harness.report.store import Run, Scored

SPLITS = ("train", "val", "test")
# Status of a row whose network was scored.
FINISHED = "finished"
# The paper's name for the row that ours fills with the checkpoint chosen on val.
PAPER_BEST = "best"
# Columns of whole numbers, some of them missing.
CLASS_COUNTS = ("C_over_classes", "mIoU_over_classes", "classes")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A network's scores at one checkpoint, over its seeds. Percent, by the metric's header.

    iterations: at which it was scored, one for all seeds unless val chose. std: sample standard deviation,
    several seeds only. interval: 95 % bootstrap interval over blocks of neighboring frames, and over seeds where
    there are several.
    labeled, present: classes that C and mIoU are the mean over, the fewest of the seeds.
    all_classes: C and mIoU divided by all n classes, as the authors' script does.
    """

    iterations: tuple[int, ...]
    images: int
    seeds: int
    mean: dict[str, float]
    std: dict[str, float]
    interval: dict[str, tuple[float, float]]
    labeled: int
    present: int
    num_classes: int
    all_classes: dict[str, float]


def summarize(runs: Sequence[Run], split: str, label: str) -> Summary | None:
    """The scores of one network's runs at one checkpoint; none where no run was scored there."""
    scored = scored_at(runs, split, label)
    if not scored:
        return None
    values = {metric.header: pd.Series([metric.value(one) for one in scored]) for metric in METRICS}
    values = {header: column for header, column in values.items() if column.notna().all()}
    bounds = {metric.header: metric.bounds(scored[0]) for metric in METRICS if len(scored) == 1}
    if len(scored) > 1:
        found = {header: sample(runs, split, label, header) for header in PAPER_METRICS}
        around = {header: interval(one) for header, one in found.items() if one is not None}
        bounds = {header: (one.low, one.high) for header, one in around.items() if one is not None}
    return Summary(
        iterations=tuple(sorted({one.evaluation.iteration for one in scored})),
        images=scored[0].evaluation.images,
        seeds=len(scored),
        mean={header: float(column.mean()) for header, column in values.items()},
        std={header: float(column.std(ddof=1)) for header, column in values.items()} if len(scored) > 1 else {},
        interval={header: pair for header, pair in bounds.items() if not np.isnan(pair[0])},
        labeled=min(one.scores.labeled for one in scored),
        present=min(one.scores.present for one in scored),
        num_classes=scored[0].scores.num_classes,
        all_classes={
            "C": float(np.mean([100 * one.scores.class_accuracy_all for one in scored])),
            "mIoU": float(np.mean([100 * one.scores.miou_all for one in scored])),
        },
    )


def scored_at(runs: Sequence[Run], split: str, label: str) -> list[Scored]:
    """The evaluations of a network's runs at one checkpoint, by seed."""
    return [one for run in runs if (one := run.at(split, label)) is not None]


def score_cells(summary: Summary | None, published: Mapping[str, float]) -> dict[str, object]:
    """M_paper, M_ours, M_difference, M_std, M_low, M_high of each metric, and what class means are over."""
    cells: dict[str, object] = {}
    for metric in PAPER_METRICS:
        theirs = published.get(metric, np.nan)
        ours = summary.mean.get(metric, np.nan) if summary else np.nan
        low, high = summary.interval.get(metric, (np.nan, np.nan)) if summary else (np.nan, np.nan)
        cells |= {
            f"{metric}_paper": theirs,
            f"{metric}_ours": ours,
            f"{metric}_difference": ours - theirs,
            f"{metric}_std": summary.std.get(metric, np.nan) if summary else np.nan,
            f"{metric}_low": low,
            f"{metric}_high": high,
        }
    cells |= {f"{metric}_ours": summary.mean.get(metric, np.nan) if summary else np.nan for metric in FURTHER_METRICS}
    over = (*CLASS_COUNTS, "C_all_classes", "mIoU_all_classes")
    if summary is None:
        return cells | dict.fromkeys(over)
    values = (summary.labeled, summary.present, summary.num_classes, *summary.all_classes.values())
    return cells | dict(zip(over, values, strict=True))


def seed_cells(summary: Summary | None, failed: Sequence[RunRecord], *, ran: bool) -> dict[str, object]:
    """How many seeds were scored, how many failed, and the status."""
    seeds = {"seeds": summary.seeds if summary else 0, "failed_seeds": len(failed)}
    return seeds | {"status": status(summary, failed, ran=ran)}


def status(summary: Summary | None, failed: Sequence[RunRecord], *, ran: bool) -> str:
    """`finished`, `failed (diverged)`, or why there is neither."""
    if summary is not None:
        return FINISHED
    failures = {record.failure.kind for record in failed if record.failure}
    if failures:
        return f"failed ({', '.join(sorted(failures))})"
    return "not scored" if ran else "not run"


def span(iterations: Sequence[int]) -> str:
    """`"8,560"`, or `"2,000 to 8,000"` where seeds differ."""
    first, last = iterations[0], iterations[-1]
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def split_label(runs: Sequence[Run], split: str, label: str) -> str:
    """The checkpoint to take a split's scores from.

    Unless at the chosen one, train is scored at the end only, which can be later than the last row.
    """
    if split != "train" or label == BEST:
        return label
    found = [one.evaluation.labels[0] for run in runs for one in run.scored if one.evaluation.split == "train"]
    return found[0] if found else label


def confusion(group: Group, network: str) -> NDArray[np.float64]:
    """Confusion matrix (K, K) on test at the group's shown row, seeds added up, percent of each row."""
    classes = group.runs[0].record.spec.num_classes
    scored = scored_at(group.of(network), "test", group.shown_label)
    return row_percent(sum((one.matrix for one in scored), np.zeros((classes, classes), dtype=np.int64)))


def row_percent(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """A confusion matrix (K, K) in percent of a class's labeled pixels; the row of an absent class is NaN."""
    rows = matrix.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(100.0 * matrix, rows, out=np.full(matrix.shape, np.nan), where=rows > 0)
    return shares
