"""Scores of runs as the judges take them, and which of a table's scores are ties. Percent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from harness.paper.claims import Difference, Sample, difference
from harness.report.groups import BLOCK, Run, Scored

# Order of the columns of `Scored.resampled`.
_METRICS = ("G", "C", "mIoU", "BF")

TIE_NOTE = (
    "`=`: a tie, that is the highest of its column and what does not differ from it by more than noise "
    "(95 %: Welch's t where both networks have several seeds, of a network and its refined output the paired "
    "t; else a paired bootstrap over blocks of "
    f"{BLOCK} neighboring frames). No correction is made for the number of networks."
)


def sample(runs: Sequence[Run], split: str, label: str, metric: str) -> Sample | None:
    """A score of one network's runs in one row of the table; none where no run was scored there."""
    found = [(run, one) for run in runs if (one := run.at(split, label)) is not None]
    scored = [one for _, one in found]
    values = [_value(one, metric) for one in scored]
    if not values or any(value is None for value in values):
        return None
    column = _METRICS.index(metric)
    resampled = [one.resampled for one in scored]
    drawn = [100 * one[:, column] for one in resampled if one is not None]
    return Sample(
        values=tuple(100 * value for value in values if value is not None),
        noise="images",
        resampled=np.stack(drawn) if len(drawn) == len(scored) else None,
        labeled=scored[0].matrices.sum(axis=2),
        trainings=tuple(_training(run) for run, _ in found),
    )


def _training(run: Run) -> str:
    """Id of the run that the network was trained in."""
    crf = run.record.crf
    return run.record.run_id if crf is None else crf.base_run


def _value(scored: Scored, metric: str) -> float | None:
    if metric == "BF":
        return scored.bf
    scores = scored.scores
    return {"G": scores.global_accuracy, "C": scores.class_accuracy, "mIoU": scores.miou}[metric]


def with_ties(
    frame: pd.DataFrame,
    by: Sequence[str],
    find: Callable[[Mapping[Any, Any], str], Sample | None],
) -> pd.DataFrame:
    """The frame with a column M_tie for each metric: whether the score ties with the highest of its column.

    Args:
        frame: a row a network and what `by` names.
        by: columns that tell apart what must not be compared, such as the checkpoint.
        find: a row and a metric -> its score, none where there is none.
    """
    rows = frame.to_dict("records")
    marked = {metric: [False] * len(rows) for metric in _METRICS}
    together: dict[tuple[object, ...], list[int]] = {}
    for at, row in enumerate(rows):
        together.setdefault(tuple(row[name] for name in by), []).append(at)
    for places in together.values():
        for metric, marks in marked.items():
            found = {at: one for at in places if (one := find(rows[at], metric)) is not None}
            for at in tied(found):
                marks[at] = True
    return frame.assign(**{f"{metric}_tie": marks for metric, marks in marked.items()})


def tied(samples: Mapping[int, Sample]) -> set[int]:
    """The highest and what can't be told from it; empty where the highest stands alone."""
    if len(samples) < 2:
        return set()
    first = max(samples, key=lambda at: samples[at].mean)
    others = {
        at
        for at, one in samples.items()
        if at != first and isinstance(gap := difference(samples[first], one), Difference) and gap.is_tie
    }
    return {first, *others} if others else set()
