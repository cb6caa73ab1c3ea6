"""Scores of runs as the judges take them, and which of a table's scores are ties. Percent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.metrics.bootstrap import SCORES
from harness.metrics.significance import Difference, Sample, difference
from harness.report.metrics import BY_HEADER
from harness.report.store import Run, Scored

Name = TypeVar("Name")


def sample(runs: Sequence[Run], split: str, label: str, metric: str) -> Sample | None:
    """A score of one network's runs in one row of the table; none where no run was scored there."""
    scored = _scored(runs, split, label)
    values = [BY_HEADER[metric].of(one) for _, one in scored]
    if not values or np.isnan(values).any():
        return None
    column = SCORES.index(metric)
    drawn = [one.resampled[:, column] for _, one in scored if one.resampled is not None]
    return _sample(scored, values, drawn)


def class_samples(runs: Sequence[Run], split: str, label: str) -> list[Sample]:
    """The IoU of every class, in the order of the classes; empty where no run was scored there."""
    scored = _scored(runs, split, label)
    if not scored:
        return []
    drawn = [one.resampled_iou for _, one in scored]
    return [
        _sample(
            scored,
            [float(one.scores.per_class_iou[index]) for _, one in scored],
            [draws[:, index] for draws in drawn if draws is not None],
        )
        for index in range(scored[0][1].scores.num_classes)
    ]


def _scored(runs: Sequence[Run], split: str, label: str) -> list[tuple[Run, Scored]]:
    return [(run, one) for run in runs if (one := run.at(split, label)) is not None]


def _sample(
    scored: Sequence[tuple[Run, Scored]], values: Sequence[float], drawn: Sequence[NDArray[np.float64]]
) -> Sample:
    return Sample(
        values=tuple(100 * value for value in values),
        noise="images",
        seeds=tuple(run.record.spec.seed for run, _ in scored),
        resampled=100 * np.stack(drawn) if len(drawn) == len(scored) else None,
        labeled=scored[0][1].matrices.sum(axis=2),
        evaluations=tuple(f"{run.record.run_id}/{one.evaluation.key}" for run, one in scored),
    )


def with_marks(
    frame: pd.DataFrame, by: Sequence[str], find: Callable[[Mapping[Any, Any], str], Sample | None]
) -> pd.DataFrame:
    """The frame with two columns for each metric: M_tie, whether the score ties with the highest, and M_best.

    The best is the highest of at least two networks, or what is not told from it.

    Args:
        frame: a row a network and what `by` names, with the scores as M_ours.
        by: columns that tell apart what must not be compared, such as the checkpoint.
        find: a row and a metric -> its score, none where there is none.
    """
    rows = frame.to_dict("records")
    marked = {metric: [False] * len(rows) for metric in SCORES}
    for places in frame.groupby(list(by), sort=False).indices.values():
        for metric, marks in marked.items():
            found = {at: one for at in places if (one := find(rows[at], metric)) is not None}
            for at in tied(found):
                marks[at] = True
    frame = frame.assign(**{f"{metric}_tie": marks for metric, marks in marked.items()})
    best = {}
    for metric in SCORES:
        ours = frame.groupby(list(by))[f"{metric}_ours"]
        highest = frame[f"{metric}_ours"].eq(ours.transform("max")) & ours.transform("count").gt(1)
        best[f"{metric}_best"] = highest | frame[f"{metric}_tie"]
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
