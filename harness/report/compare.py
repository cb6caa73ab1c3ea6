"""Two networks side by side: every score and class of every group that both were run in, and whether they differ."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness.metrics.bootstrap import SCORES
from harness.metrics.significance import Difference, Sample, difference
from harness.report.accuracy import Scores
from harness.report.collect import collect, suites_of
from harness.report.grouping import Group
from harness.report.scored_data import class_names
from harness.report.store import read_store
from harness.system.errors import UserError, nearest
from harness.system.quantities import NotMeasured


def compare(results: Path, first: str, second: str, suites: Sequence[str]) -> pd.DataFrame:
    """A row a score of two architectures, in every group of these suites and at every checkpoint both have.

    Columns group, reduced (why these are reduced runs, or empty), checkpoint, metric (G, C, mIoU, BF, or IoU of a
    class), class (empty for the split's scores), first, second (means over seeds, percent), first_std, second_std,
    first_seeds, second_seeds, difference, low, high (95 %, of the seeds that both have), seeds (that the difference
    is of), higher (first, second, tie; empty where unknown) and reason (why it is unknown).

    Raises:
        UserError: the two are one, one has no finished run, or no group holds both.
    """
    if first == second:
        raise UserError(f"compare {first} with another network than itself")
    groups = _groups(results, suites)
    ran = list(dict.fromkeys(name for group in groups for name in group.networks))
    for name in (first, second):
        _check_ran(name, ran, results, suites)
    rows = [row for group in groups for row in _rows(group, first, second)]
    if not rows:
        raise UserError(
            f"{first} and {second} have no finished runs of the same protocol, data, precision and initial "
            "weights; `python -m harness run` makes some"
        )
    return pd.DataFrame(rows)


def _groups(results: Path, suites: Sequence[str]) -> list[Group]:
    """Of all the suites, each run once: two suites can share a protocol."""
    groups: list[Group] = []
    seen: set[str] = set()
    store = read_store(results)
    for _, suite in suites_of(store, suites):
        for group in collect(store, suite).groups:
            own = {run.record.run_id for run in group.runs}
            if own and not own & seen:
                groups.append(group)
                seen |= own
    return groups


def _check_ran(name: str, ran: Sequence[str], results: Path, suites: Sequence[str]) -> None:
    if name in ran:
        return
    if not ran:
        raise UserError(f"no finished run of suite {', '.join(suites)} in {results}")
    raise UserError(f"no finished run of {name!r} in {results}; {nearest(name, ran)}there are runs of {', '.join(ran)}")


def _rows(group: Group, first: str, second: str) -> Iterator[dict[str, object]]:
    runs = group.of(first), group.of(second)
    classes = class_names(group.runs[0].record)
    data = f"data {group.spec.dataset_variant}, {group.computed}, initial weights {group.weights.title}"
    reduced = f"REDUCED: {'; '.join(group.reduced)}" if group.reduced else ""
    origin = {"group": f"{group.protocol.title}, {data}", "reduced": reduced}
    for label in group.labels:
        at = origin | {"checkpoint": label}
        ours, theirs = (Scores.of(own, "test", label) for own in runs)
        if ours is None or theirs is None:
            continue
        for metric in SCORES:
            one, other = ours.sample(metric), theirs.sample(metric)
            if one is not None and other is not None:
                yield at | {"metric": metric, "class": ""} | _cells(one, other)
        for name, one, other in zip(classes, ours.classes, theirs.classes, strict=True):
            yield at | {"metric": "IoU", "class": name} | _cells(one, other)


def _cells(one: Sample, other: Sample) -> dict[str, object]:
    gap = difference(one, other)
    if isinstance(gap, Difference) and np.isnan(gap.low):
        gap = NotMeasured(reason="undefined in some resamples")
    found = gap if isinstance(gap, Difference) else None
    return {
        "first": one.mean,
        "second": other.mean,
        "first_std": np.nan if one.std is None else one.std,
        "second_std": np.nan if other.std is None else other.std,
        "first_seeds": len(one.values),
        "second_seeds": len(other.values),
        "difference": found.estimate if found else one.mean - other.mean,
        "low": found.low if found else np.nan,
        "high": found.high if found else np.nan,
        "seeds": min(found.seeds) if found else 0,
        "higher": "" if found is None else "tie" if found.is_tie else "first" if found.low > 0 else "second",
        "reason": "" if isinstance(gap, Difference) else gap.reason,
    }
