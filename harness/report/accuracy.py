"""Scores of a network over its seeds, in percent, the cells of tables that show them, and which of them are ties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.metrics.bootstrap import SCORES
from harness.metrics.significance import Difference, Sample, difference, interval
from harness.records.run import BEST, RunRecord
from harness.report.metrics import BY_HEADER, FURTHER_METRICS, METRICS
from harness.report.store import Run, Scored

SPLITS = ("train", "val", "test")
# Status of a row whose network was scored.
FINISHED = "finished"
# The paper's name for the row that ours fills with the checkpoint chosen on val.
PAPER_BEST = "best"
# Columns of whole numbers, some of them missing.
CLASS_COUNTS = ("C_over_classes", "mIoU_over_classes", "classes")
Name = TypeVar("Name")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """A network's evaluations at one checkpoint, one a seed, at least one. Percent, by the metric's header."""

    runs: tuple[Run, ...]
    scored: tuple[Scored, ...]

    @classmethod
    def of(cls, runs: Sequence[Run], split: str, label: str) -> Self | None:
        """Those of one network's runs; none where no run was scored there."""
        found = [(run, one) for run in runs if (one := run.at(split, label)) is not None]
        return cls(runs=tuple(run for run, _ in found), scored=tuple(one for _, one in found)) if found else None

    @property
    def iterations(self) -> list[int]:
        """At which they were scored, one for all seeds unless val chose."""
        return sorted({one.evaluation.iteration for one in self.scored})

    @cached_property
    def _values(self) -> dict[str, list[float]]:
        """One a seed, of the metrics that every seed has."""
        found = {metric.header: [metric.value(one) for one in self.scored] for metric in METRICS}
        return {header: values for header, values in found.items() if not np.isnan(values).any()}

    @property
    def mean(self) -> dict[str, float]:
        """Of the metrics that every seed has."""
        return {header: float(np.mean(values)) for header, values in self._values.items()}

    @property
    def std(self) -> dict[str, float]:
        """Sample standard deviation; of several seeds only."""
        several = self._values if len(self.runs) > 1 else {}
        return {header: float(np.std(values, ddof=1)) for header, values in several.items()}

    @cached_property
    def interval(self) -> dict[str, tuple[float, float]]:
        """95 % bootstrap interval over blocks of neighboring frames, and over seeds where there are several."""
        if len(self.runs) == 1:
            found = {metric.header: metric.bounds(self.scored[0]) for metric in METRICS}
        else:
            around = {header: interval(one) for header in SCORES if (one := self.sample(header)) is not None}
            found = {header: (one.low, one.high) for header, one in around.items() if one is not None}
        return {header: ends for header, ends in found.items() if not np.isnan(ends[0])}

    def sample(self, metric: str) -> Sample | None:
        """One of the four scores as the judges take it; none where a seed lacks it."""
        values = [BY_HEADER[metric].of(one) for one in self.scored]
        if np.isnan(values).any():
            return None
        column = SCORES.index(metric)
        return self._sample(values, [one.resampled[:, column] for one in self.scored if one.resampled is not None])

    @cached_property
    def classes(self) -> list[Sample]:
        """The IoU of every class, in the order of the classes."""
        drawn = [draws for one in self.scored if (draws := one.resampled_iou) is not None]
        return [
            self._sample(
                [float(one.scores.per_class_iou[index]) for one in self.scored], [draws[:, index] for draws in drawn]
            )
            for index in range(self.scored[0].scores.num_classes)
        ]

    def _sample(self, values: Sequence[float], drawn: Sequence[NDArray[np.float64]]) -> Sample:
        return Sample(
            values=tuple(100 * value for value in values),
            noise="images",
            seeds=tuple(run.record.spec.seed for run in self.runs),
            resampled=100 * np.stack(drawn) if len(drawn) == len(self.scored) else None,
            labeled=self.scored[0].counts.labeled.astype(np.int64),
            evaluations=self.evaluations,
        )

    @property
    def evaluations(self) -> tuple[str, ...]:
        """What they were read from, one a seed."""
        pairs = zip(self.runs, self.scored, strict=True)
        return tuple(f"{run.record.run_id}/{one.evaluation.key}" for run, one in pairs)


def scored_at(runs: Sequence[Run], split: str, label: str) -> list[Scored]:
    """The evaluations of a network's runs at one checkpoint, by seed."""
    return [one for run in runs if (one := run.at(split, label)) is not None]


def score_cells(found: Scores | None, published: Mapping[str, float]) -> dict[str, object]:
    """M_paper, M_ours, M_difference, M_std, M_low, M_high of each metric, and what class means are over.

    That is the fewest classes of the seeds, and C and mIoU divided by all classes, as the authors' script does.
    """
    mean, std, ends = (found.mean, found.std, found.interval) if found else ({}, {}, {})
    cells: dict[str, object] = {}
    for metric in SCORES:
        theirs, ours = published.get(metric, np.nan), mean.get(metric, np.nan)
        low, high = ends.get(metric, (np.nan, np.nan))
        cells |= {
            f"{metric}_paper": theirs,
            f"{metric}_ours": ours,
            f"{metric}_difference": ours - theirs,
            f"{metric}_std": std.get(metric, np.nan),
            f"{metric}_low": low,
            f"{metric}_high": high,
        }
    cells |= {f"{metric}_ours": mean.get(metric, np.nan) for metric in FURTHER_METRICS}
    over = (*CLASS_COUNTS, "C_all_classes", "mIoU_all_classes")
    if found is None:
        return cells | dict.fromkeys(over)
    scores = [one.scores for one in found.scored]
    counts = (min(one.labeled for one in scores), min(one.present for one in scores), scores[0].num_classes)
    means = [np.mean([100 * one.class_accuracy_all for one in scores]), np.mean([100 * one.miou_all for one in scores])]
    return cells | dict(zip(over, (*counts, *map(float, means)), strict=True))


def seed_cells(found: Scores | None, failed: Sequence[RunRecord], *, ran: bool) -> dict[str, object]:
    """How many seeds were scored, how many failed, and the status."""
    seeds = {"seeds": len(found.runs) if found else 0, "failed_seeds": len(failed)}
    return seeds | {"status": status(found, failed, ran=ran)}


def status(found: Scores | None, failed: Sequence[RunRecord], *, ran: bool) -> str:
    """`finished`, `failed (diverged)`, or why there is neither."""
    if found is not None:
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


def confusion(scored: Sequence[Scored], num_classes: int) -> NDArray[np.float64]:
    """Confusion matrix (K, K), seeds added up, in percent of a class's labeled pixels; the row of an absent one is NaN.

    Args:
        scored: one network's evaluations, one a seed.
        num_classes: K.
    """
    matrix = sum((one.matrix for one in scored), np.zeros((num_classes, num_classes), dtype=np.int64))
    rows = matrix.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.divide(100.0 * matrix, rows, out=np.full(matrix.shape, np.nan), where=rows > 0)
    return shares


def with_marks(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The frame with two columns for each metric: M_tie, whether the score ties with the highest, and M_best.

    The best is the highest of at least two networks, or what is not told from it; none where nothing can be tested.

    Args:
        frame: a row a network and what `by` names, with the means as M_ours, and in a column `scores`, which is
            taken away, the `Scores` that can tie; none of a row of which a tie would say nothing.
        by: columns that tell apart what must not be compared, such as the checkpoint.
    """
    scores, frame = frame["scores"].tolist(), frame.drop(columns="scores")
    marked, untested = ({metric: [False] * len(scores) for metric in SCORES} for _ in range(2))
    for places in frame.groupby(list(by), sort=False).indices.values():
        for metric, marks in marked.items():
            found = {at: scores[at].sample(metric) for at in places if isinstance(scores[at], Scores)}
            samples = {at: one for at, one in found.items() if one is not None}
            for at in tied(samples):
                marks[at] = True
                untested[metric][at] = all(one.resampled is None for one in samples.values())
    frame = frame.assign(**{f"{metric}_tie": marks for metric, marks in marked.items()})
    best = {}
    for metric in SCORES:
        ours = frame.groupby(list(by))[f"{metric}_ours"]
        highest = frame[f"{metric}_ours"].eq(ours.transform("max")) & ours.transform("count").gt(1)
        best[f"{metric}_best"] = (highest | frame[f"{metric}_tie"]) & ~np.array(untested[metric])
    return frame.assign(**best)


def tied(samples: Mapping[Name, Sample]) -> set[Name]:
    """The highest and what can't be told from it, as where nothing can be tested; empty where it stands alone."""
    if len(samples) < 2:
        return set()
    first = max(samples, key=lambda at: samples[at].mean)
    others = {
        at
        for at, one in samples.items()
        # over the seeds that two share even the one with the lower mean can be above
        if at != first and not (isinstance(gap := difference(samples[first], one), Difference) and gap.low > 0)
    }
    return {first, *others} if others else set()
