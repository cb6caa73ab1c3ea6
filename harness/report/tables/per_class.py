"""Every class on test: accuracy, IoU, Dice, precision, recall and BF of each network, over its seeds."""

import pandas as pd

from datasets import DatasetInfo
from harness.report.accuracy import scored_at
from harness.report.grouping import Group
from harness.report.metrics import CLASS_METRICS
from harness.report.sections import Section
from harness.report.store import title
from harness.report.tables.spec import TableSpec


def per_class(group: Group, dataset: DatasetInfo, label: str | None = None) -> pd.DataFrame:
    """A row for each network and class on test at one checkpoint (none: the group's shown one).

    Columns network, architecture, class_weighting, checkpoint, seeds, class, labeled_pixels, then of each
    metric of `metrics.CLASS_METRICS` its mean over seeds and M_std; percent, NaN where the class is absent,
    and of one seed no deviation.
    """
    rows = []
    at = label or group.shown_label
    for network in group.networks:
        scored = scored_at(group.of(network), "test", at)
        values = {metric.name: [metric.value(one) for one in scored] for metric in CLASS_METRICS}
        for index, class_name in enumerate(dataset.classes):
            cells: dict[str, object] = {
                "network": title(network),
                "architecture": network,
                "class_weighting": group.protocol.class_weighting,
                "checkpoint": at,
                "seeds": len(scored),
                "class": class_name,
                "labeled_pixels": int(scored[0].matrix[index].sum()) if scored else 0,
            }
            for metric, columns in values.items():
                over = pd.Series([column[index] for column in columns], dtype=float)
                cells |= {metric: over.mean(), f"{metric}_std": over.std(ddof=1)}
            rows.append(cells)
    return pd.DataFrame(rows)


def _values(section: Section) -> pd.DataFrame:
    """Of all groups that were scored on test."""
    if not section.group.protocol.score_test:
        return pd.DataFrame()
    frames = [per_class(group, section.dataset) for group in section.groups]
    return pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()], ignore_index=True)


TABLE = TableSpec(
    name="per-class",
    heading="Classes",
    place=40,
    values=_values,
    shown=False,
)


def class_grid(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a class, a column a network: one metric as text; of several class weightings the first.

    The classes' share of the labeled pixels stands first.
    """
    first = frame[frame["class_weighting"] == frame["class_weighting"].iloc[0]]
    shown = first.assign(text=["absent" if pd.isna(value) else f"{value:.1f}" for value in first[metric]])
    grid = shown.pivot(index="class", columns="network", values="text")
    grid = grid.reindex(index=list(dict.fromkeys(first["class"])), columns=list(dict.fromkeys(first["network"])))
    pixels = first.drop_duplicates("class").set_index("class")["labeled_pixels"]
    shares = 100 * pixels / max(1, pixels.sum())
    grid.insert(0, "of the pixels, %", [f"{shares[name]:.1f}" for name in grid.index])
    named: pd.DataFrame = grid.rename_axis(columns=None).reset_index()
    return named
