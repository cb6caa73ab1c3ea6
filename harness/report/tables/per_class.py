"""Every class on test: accuracy, IoU, Dice, precision, recall and BF of each network; and its worst images."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from datasets import DatasetInfo
from harness.report.accuracy import scored_at
from harness.report.grouping import Group
from harness.report.metrics import CLASS_METRICS, image_miou
from harness.report.scored_data import image_names
from harness.report.sections import Section
from harness.report.store import Scored, title
from harness.report.tables.spec import TableSpec

WORST = 20  # images of each network


def per_class(group: Group, dataset: DatasetInfo, label: str | None = None) -> pd.DataFrame:
    """A row for each network and class on test at one checkpoint (none: the group's shown one).

    Columns network, architecture, class_weighting, checkpoint, seeds, class, labeled_pixels, then of each
    metric of `metrics.CLASS_METRICS` its mean over seeds and M_std; percent, NaN where the class is absent,
    and of one seed no deviation.
    """
    parts = []
    at = label or group.shown_label
    for network in group.networks:
        scored = scored_at(group.of(network), "test", at)
        cells: dict[str, object] = {
            "network": title(network),
            "architecture": network,
            "class_weighting": group.protocol.class_weighting,
            "checkpoint": at,
            "seeds": len(scored),
        }
        parts.append(pd.DataFrame(cells | class_means(scored, dataset.classes)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def class_means(scored: Sequence[Scored], classes: Sequence[str]) -> dict[str, Any]:
    """Columns class, labeled_pixels, and of each of `CLASS_METRICS` its mean over seeds and M_std, percent."""
    cells: dict[str, Any] = {
        "class": list(classes),
        "labeled_pixels": scored[0].matrix.sum(axis=1) if scored else 0,
    }
    for metric in CLASS_METRICS:
        seeds = pd.DataFrame([metric.value(one) for one in scored], columns=range(len(classes)), dtype=float)
        cells |= {metric.name: seeds.mean(), f"{metric.name}_std": seeds.std(ddof=1)}
    return cells


def _values(section: Section) -> pd.DataFrame:
    """Of all groups that were scored on test."""
    if not section.group.protocol.score_test:
        return pd.DataFrame()
    frames = [per_class(group, section.dataset) for group in section.groups]
    return pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame()], ignore_index=True)


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


def worst_images(section: Section) -> pd.DataFrame:
    """The test images on which each network has the lowest mIoU.

    Columns network, class_weighting, place (1: the lowest), image (number in the split), image_id, miou (%).
    """
    rows: list[dict[str, object]] = []
    for group in section.groups:
        for network in group.networks:
            runs = group.of(network)
            scored = scored_at(runs, "test", group.shown_label)
            if not scored:
                continue
            scores = pd.DataFrame([100 * image_miou(one) for one in scored]).mean().dropna()
            ids = image_names(runs[0].record, "test", len(scored[0].counts))
            for place, (image, miou) in enumerate(scores.sort_values(kind="stable").head(WORST).items(), 1):
                cells = {"network": title(network), "class_weighting": group.protocol.class_weighting, "place": place}
                rows.append(cells | {"image": image, "image_id": ids[int(str(image))], "miou": miou})
    return pd.DataFrame(rows)


TABLE = (
    TableSpec(name="per-class", heading="Classes", place=40, values=_values, shown=False),
    TableSpec(name="worst-images", heading="Images with the lowest mIoU", place=50, values=worst_images, shown=False),
)
