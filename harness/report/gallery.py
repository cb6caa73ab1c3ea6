"""The pictures of one group: which there are, where they go, and which the page shows."""

from dataclasses import dataclass

import pandas as pd

from harness.report.class_plots import class_scores, confusion_matrices
from harness.report.groups import input_size
from harness.report.panels import Source, data_strips, draw_panels, image_ids_of, prediction_strips
from harness.report.plots import PlotContext, learning_curves, trained
from harness.report.resources import Measurements, for_size
from harness.report.trade_offs import COSTS, missing_reasons, trade_off

# Folder of pictures made of a dataset that is not ours to spread; ignored by git.
LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One PNG. path: in the suite's folder. shown: whether the page shows it."""

    title: str
    path: str
    data: bytes
    shown: bool = True


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The pictures of a group, and a line for each that there can't be."""

    pictures: tuple[Picture, ...]
    remarks: tuple[str, ...]


def gallery(
    context: PlotContext, per_class: pd.DataFrame, measurements: Measurements, source: Source | None
) -> Gallery:
    """All pictures of a group that has finished runs.

    Args:
        context: the group's.
        per_class: from `accuracy.per_class`.
        measurements: the suite's, for the plots against memory, time and energy.
        source: pictures of the data that the group was scored on, if they may be had.
    """
    trade_offs, remarks = _trade_offs(context, measurements)
    slug = context.group.slug
    pictures = [
        *trade_offs,
        *_curves(context),
        Picture(title="IoU of each class", path=f"{slug}/per-class.png", data=class_scores(context, per_class)),
        Picture(title="Confusion matrices", path=f"{slug}/confusion.png", data=confusion_matrices(context)),
        *_panels(context, source),
    ]
    if context.dataset.synthetic and source is None:
        remarks.append(
            "No pictures: the runs were scored on another edition of the drawn data than "
            "this version of the program draws."
        )
    return Gallery(pictures=tuple(pictures), remarks=tuple(remarks))


def _curves(context: PlotContext) -> list[Picture]:
    if not trained(context.group):
        return []
    path = f"{context.group.slug}/learning-curves.png"
    return [Picture(title="Learning curves", path=path, data=learning_curves(context))]


def _trade_offs(context: PlotContext, measurements: Measurements) -> tuple[list[Picture], list[str]]:
    group = context.group
    size = input_size(group.protocol, context.dataset)
    measured = for_size(measurements, size, group.precision)
    pictures, remarks = [], []
    for quantity in COSTS:
        data = trade_off(context, measured, quantity) if measured else None
        name = f"{quantity.capitalize()} versus accuracy"
        if data is None:
            reasons = missing_reasons(context, measured, quantity) if measured else []
            why = f": {'; '.join(reasons)}" if reasons else f" in {group.precision}"
            remarks.append(f"{name}: no plot, since no network here has a measurement{why}.")
        else:
            pictures.append(Picture(title=name, path=f"{group.slug}/{quantity}-accuracy.png", data=data))
    return pictures, remarks


def _panels(context: PlotContext, source: Source | None) -> list[Picture]:
    """Panels with image and truth of drawn data; of other data predictions alone, unless they stay local."""
    group = context.group
    if not image_ids_of(group):
        return []
    predictions = prediction_strips(group, context.dataset)
    full = draw_panels(context, [*data_strips(group, source), *predictions]) if source else b""
    if context.dataset.synthetic and source:
        return [Picture(title="Test images and predictions", path=f"{group.slug}/panels.png", data=full)]
    alone = draw_panels(context, predictions)
    pictures = [Picture(title="Predictions", path=f"{group.slug}/predictions.png", data=alone)]
    if source:
        path = f"{LOCAL}/{group.slug}/panels.png"
        pictures.append(Picture(title="Test images and predictions", path=path, data=full, shown=False))
    return pictures
