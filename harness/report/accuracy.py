"""Accuracy: Table 3, the splits side by side and the per-class values of one group of runs, as tidy frames.

Scores in frames are percent. Of text a frame holds names and reasons only; `accuracy_tables` formats it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import architectures
from datasets import DatasetInfo
from harness import paper
from harness.records.run import BEST, RunRecord
from harness.report.dense_crf import CRF_TIME, crf_time_ms
from harness.report.groups import Group, Run, Scored, title
from harness.report.samples import sample, with_ties

METRICS = ("G", "C", "mIoU", "BF")
SPLITS = ("train", "val", "test")
# Status of a row whose network was scored.
FINISHED = "finished"
# The paper's name for the row that ours fills with the checkpoint chosen on val.
PAPER_BEST = "best"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A network's scores in one row of the table, over its seeds. Percent.

    iterations: at which it was scored, one for all seeds unless val chose. std: sample standard deviation,
    several seeds only. interval: 95 % bootstrap interval over blocks of neighboring frames, one seed only.
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

    @property
    def whole(self) -> bool:
        """Whether no class is absent."""
        return self.labeled == self.present == self.num_classes


def summarize(runs: Sequence[Run], split: str, label: str) -> Summary | None:
    """The scores of one network's runs in one row; none where no run was scored there."""
    scored = [one for run in runs if (one := run.at(split, label)) is not None]
    if not scored:
        return None
    each = [_percent(one) for one in scored]
    values = {metric: pd.Series([one[metric] for one in each]) for metric in each[0]}
    several = len(scored) > 1
    return Summary(
        iterations=tuple(sorted({one.evaluation.iteration for one in scored})),
        images=scored[0].evaluation.images,
        seeds=len(scored),
        mean={metric: float(column.mean()) for metric, column in values.items()},
        std={metric: float(column.std(ddof=1)) for metric, column in values.items()} if several else {},
        interval={} if several else _interval(scored[0]),
        labeled=min(one.scores.labeled for one in scored),
        present=min(one.scores.present for one in scored),
        num_classes=scored[0].scores.num_classes,
        all_classes={
            "C": float(np.mean([100 * one.scores.class_accuracy_all for one in scored])),
            "mIoU": float(np.mean([100 * one.scores.miou_all for one in scored])),
        },
    )


def _interval(scored: Scored) -> dict[str, tuple[float, float]]:
    found = scored.intervals
    if found is None:
        return {}
    four = {"G": found.global_accuracy, "C": found.class_accuracy, "mIoU": found.miou, "BF": found.bf}
    if scored.bf is None:
        del four["BF"]
    return {metric: (100 * interval.low, 100 * interval.high) for metric, interval in four.items()}


def _percent(scored: Scored) -> dict[str, float]:
    scores = scored.scores
    values = {"G": scores.global_accuracy, "C": scores.class_accuracy, "mIoU": scores.miou}
    if scored.bf is not None:
        values["BF"] = scored.bf
    return {metric: 100 * value for metric, value in values.items()}


def layers_loaded(group: Group, runs: Sequence[Run]) -> str | None:
    """How much of the encoder the initial weights set, such as "7 of 13"; none where nothing was loaded."""
    if not runs or group.weights.kind == "none":
        return None
    record = runs[0].record
    return f"{len(record.layers_set)} of {record.encoder_layers}"


def layers_drawn(group: Group, runs: Sequence[Run]) -> str | None:
    """The fully connected layers that other layers' initial weights left drawn, such as "fc6, fc7"."""
    if not runs or group.weights.kind == "none":
        return None
    record = runs[0].record
    try:
        info = architectures.info(record.spec.architecture)
    except architectures.ArchitectureError:
        return None  # registered by a plugin that a report need not load
    return ", ".join(name for name in info.fully_connected if name not in record.layers_set) or None


# Columns of whole numbers, some of them missing.
CLASS_COUNTS = ("C_over_classes", "mIoU_over_classes", "classes")
_COUNTS = ("paper_iterations", "seeds", "images", *CLASS_COUNTS)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What one row of Table 3 is about."""

    network: str
    architecture: str | None
    label: str
    published: paper.Accuracy | None


def table3(
    group: Group,
    dataset: DatasetInfo,
    published: Sequence[paper.Accuracy] | None = None,
    alone: bool = False,
) -> pd.DataFrame:
    """Table 3: network x checkpoint on test; ours, and beside it the paper's unless the data is drawn
    or the recipe is not the paper's (`alone`).

    Columns network, architecture, checkpoint, paper_iterations, iterations (text: seeds may differ where val
    chose), initial_weights, layers_loaded, layers_drawn, seeds, failed_seeds, status, images, then for each
    metric M_paper, M_ours, M_difference, M_std, M_low, M_high, what the class means are over, M_tie: whether
    it ties with the highest of its checkpoint, and the dense CRF's time where some network has it.
    `published`: the paper's rows; none: those of Table 3.
    """
    alone = alone or dataset.synthetic
    theirs = paper.accuracies() if published is None else published
    rows = [_table3_row(group, row) for row in _table3_rows(group, () if alone else theirs)]
    frame = pd.DataFrame(rows)
    frame = frame.astype(dict.fromkeys(_COUNTS, "Int64"))
    frame = with_ties(
        frame,
        ["checkpoint"],
        lambda row, metric: sample(group.of(row["architecture"]), "test", row["checkpoint"], metric),
    )
    if any(run.record.crf for run in group.runs):
        frame[CRF_TIME] = [crf_time_ms(group, name) for name in frame["architecture"]]
    if alone:
        return frame.drop(columns=[name for name in map(str, frame) if "paper" in name or "difference" in name])
    return frame


def _table3_rows(group: Group, published: Sequence[paper.Accuracy]) -> list[_Row]:
    ran = list(dict.fromkeys([*group.networks, *(record.spec.network for record in group.failed)]))
    titles = {name: title(name) for name in ran}
    names = list(dict.fromkeys([row.network for row in published]))
    rows = []
    for network in [*names, *(text for text in dict.fromkeys(titles.values()) if text not in names)]:
        theirs = {_label(row.checkpoint): row for row in published if row.network == network}
        ours: list[str | None] = [name for name in ran if titles[name] == network]
        for architecture in ours or [None]:
            labels = list(dict.fromkeys([*(_labels(group, architecture) if architecture else ()), *theirs]))
            for label in sorted(labels, key=lambda label: label == BEST):
                rows.append(_Row(network=network, architecture=architecture, label=label, published=theirs.get(label)))
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


def _table3_row(group: Group, row: _Row) -> dict[str, object]:
    runs = group.of(row.architecture) if row.architecture else []
    failed = group.failed_of(row.architecture) if row.architecture else []
    summary = summarize(runs, "test", row.label)
    cells: dict[str, object] = {
        "network": row.network,
        "architecture": row.architecture,
        "checkpoint": row.label,
        "paper_iterations": row.published.iterations if row.published else None,
        "iterations": span(summary.iterations) if summary else None,
        "initial_weights": _weights_title(runs, failed),
        "layers_loaded": layers_loaded(group, runs),
        "layers_drawn": layers_drawn(group, runs),
        "seeds": summary.seeds if summary else 0,
        "failed_seeds": len(failed),
        "status": status(summary, failed, ran=row.architecture is not None),
        "images": summary.images if summary else None,
    }
    return cells | score_cells(summary, row.published.scores if row.published else {})


def _weights_title(runs: Sequence[Run], failed: Sequence[RunRecord]) -> str | None:
    """Of a network's own runs: networks that start from what their libraries draw do so each in its way."""
    records = [*(run.record for run in runs), *failed]
    return records[0].spec.initial_weights.title if records else None


def score_cells(summary: Summary | None, published: Mapping[str, float]) -> dict[str, object]:
    """M_paper, M_ours, M_difference, M_std, M_low, M_high of each metric, and what class means are over."""
    cells: dict[str, object] = {}
    for metric in METRICS:
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
    return cells | _class_means(summary)


def _class_means(summary: Summary | None) -> dict[str, object]:
    over = (*CLASS_COUNTS, "C_all_classes", "mIoU_all_classes")
    if summary is None:
        return dict.fromkeys(over)
    values = (summary.labeled, summary.present, summary.num_classes, *summary.all_classes.values())
    return dict(zip(over, values, strict=True))


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


def splits(group: Group) -> pd.DataFrame:
    """Train, val and test of each network side by side at the group's shown row, in columns of their own.

    Columns network, initial_weights, layers_loaded, layers_drawn, seeds, then for each split S_iterations,
    S_images, and of each metric M but BF S_M and S_M_std; percent, mean and sample standard deviation over
    seeds.
    """
    rows = []
    for name in group.networks:
        runs = group.of(name)
        cells: dict[str, object] = {
            "network": title(name),
            "initial_weights": group.weights.title,
            "layers_loaded": layers_loaded(group, runs),
            "layers_drawn": layers_drawn(group, runs),
            "seeds": len(runs),
        }
        for split in SPLITS:
            summary = summarize(runs, split, split_label(runs, split, group.shown_label))
            cells[f"{split}_iterations"] = span(summary.iterations) if summary else None
            cells[f"{split}_images"] = summary.images if summary else None
            for metric in METRICS[:3]:
                cells[f"{split}_{metric}"] = summary.mean[metric] if summary else np.nan
                cells[f"{split}_{metric}_std"] = summary.std.get(metric, np.nan) if summary else np.nan
        rows.append(cells)
    return pd.DataFrame(rows)


def split_label(runs: Sequence[Run], split: str, label: str) -> str:
    """The row of the table to take a split's scores from.

    Unless at the chosen one, train is scored at the end only, which can be later than the last row.
    """
    if split != "train" or label == BEST:
        return label
    found = [one.evaluation.labels[0] for run in runs for one in run.scored if one.evaluation.split == "train"]
    return found[0] if found else label


def per_class(group: Group, dataset: DatasetInfo, label: str | None = None) -> pd.DataFrame:
    """Accuracy and IoU of every class on test at one row (none: the group's shown one), mean over seeds.

    Columns network, initial_weights, layers_loaded, layers_drawn, seeds, class, labeled_pixels, accuracy,
    accuracy_std, iou, iou_std; percent, NaN where the class is absent, standard deviations NaN for one seed.
    """
    rows = []
    for name in group.networks:
        at = label or group.shown_label
        scored = [one for run in group.of(name) if (one := run.at("test", at)) is not None]
        for index, class_name in enumerate(dataset.classes):
            accuracy = pd.Series([100 * one.scores.per_class_accuracy[index] for one in scored], dtype=float)
            iou = pd.Series([100 * one.scores.per_class_iou[index] for one in scored], dtype=float)
            rows.append(
                {
                    "network": title(name),
                    "initial_weights": group.weights.title,
                    "layers_loaded": layers_loaded(group, group.of(name)),
                    "layers_drawn": layers_drawn(group, group.of(name)),
                    "seeds": len(scored),
                    "class": class_name,
                    "labeled_pixels": int(scored[0].matrix[index].sum()) if scored else 0,
                    "accuracy": accuracy.mean(),
                    "accuracy_std": accuracy.std(ddof=1),
                    "iou": iou.mean(),
                    "iou_std": iou.std(ddof=1),
                }
            )
    return pd.DataFrame(rows)


def confusion(group: Group, architecture: str) -> NDArray[np.float64]:
    """Confusion matrix (K, K) on test at the group's shown row, seeds added up, rows summing to 1.

    The row of an absent class is NaN.
    """
    classes = group.runs[0].record.spec.num_classes
    total = np.zeros((classes, classes))
    for run in group.of(architecture):
        scored = run.at("test", group.shown_label)
        total += 0 if scored is None else scored.matrix
    rows = total.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(total, rows, out=np.full_like(total, np.nan), where=rows > 0)
    return shares
