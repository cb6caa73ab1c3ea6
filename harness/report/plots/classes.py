"""Class by class: IoU of every class, and which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.accuracy import confusion, scored_at
from harness.report.plots.base import Drawing, GroupData, Plot, PlotContext, drawing
from harness.report.plots.style import SMALL, key, new_figure, sign, styled
from harness.report.store import title

MOST_NETWORKS = 6  # signs of more networks on one line are not told apart
MOST_CLASSES = 20  # more are numbered in a confusion matrix, without numbers in its cells
PALE_PERCENT = 48  # above it a cell is so dark that its number is white


def class_figure(context: PlotContext, frame: pd.DataFrame) -> Figure:
    """IoU of every class on test, from `accuracy.per_class`: signs on lines, of many networks numbers in cells."""
    if frame["network"].nunique() <= MOST_NETWORKS:
        return _class_lines(context, frame)
    values = frame.pivot(index="network", columns="class", values="iou")
    values = values.reindex(index=list(dict.fromkeys(frame["network"])), columns=list(context.dataset.classes))
    with styled():
        figure = new_figure(1.6 + 0.3 * len(values), context.heading("IoU of each class (%)"))
        axes = figure.subplots()
        _draw_cells(axes, values, values.map(lambda value: "n/a" if pd.isna(value) else f"{value:.0f}"))
    return figure


def _class_lines(context: PlotContext, frame: pd.DataFrame) -> Figure:
    classes, names = list(context.dataset.classes), list(dict.fromkeys(frame["network"]))
    with styled():
        row_in = 0.36 if len(classes) <= MOST_CLASSES else 0.27
        figure = new_figure(1.4 + row_in * len(classes), context.heading("IoU of each class"))
        axes = figure.subplots()
        entries = []
        for at, name in enumerate(names):
            own = frame[frame["network"].eq(name)].set_index("class")["iou"].reindex(classes)
            look = context.palette.look(name)
            rows = np.arange(len(classes)) + 0.14 * (at - (len(names) - 1) / 2)
            axes.plot(own, rows, linestyle="none", clip_on=False, zorder=3, label=name, **look)
            entries.append(sign(name, **look))
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="IoU on test (%)", xlim=(0, 100), ylim=(len(classes) - 0.4, -0.6))
        key(figure, entries, columns=3 if max(map(len, names)) > 20 and len(names) > 3 else 6)
    return figure


def confusion_figure(context: PlotContext) -> Figure:
    """Row-normalized confusion matrix of each network on test, percent."""
    names, classes = context.group.networks, list(context.dataset.classes)
    rows = -(-len(names) // 2)
    many = len(classes) > MOST_CLASSES
    shown = ["" if at % 4 else str(at + 1) for at in range(len(classes))] if many else classes
    with styled():
        figure = new_figure(0.5 + 3.9 * rows, context.heading("Confusion matrices, % of a class's pixels"))
        grid = figure.subplots(rows, 2, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)  # each heatmap draws the whole figure once, with all that is in it by then
        # and a layout of what can't be seen yet would stay
        layout = figure.get_layout_engine()
        figure.set_layout_engine("none")
        for place, axes in enumerate(grid.flat[: len(names)]):
            scored = scored_at(context.group.of(names[place]), "test", context.group.shown_label)
            values = pd.DataFrame(confusion(scored, len(classes)), index=shown, columns=shown)
            texts = values.map(lambda value: "" if many or pd.isna(value) or value < 0.5 else f"{value:.0f}")
            _draw_cells(axes, values, texts)
            axes.set_title(title(names[place]), fontweight="bold")
            axes.set_ylabel("truth" if place % 2 == 0 else "")
            if place % 2:
                axes.set_yticklabels([])
            if place < 2:
                axes.set_xlabel("predicted")
                axes.xaxis.set_label_position("top")
            if place < 2 or many:  # numbers take little room
                axes.tick_params(axis="x", labeltop=True, labelbottom=False)
                turned = {"rotation": 0, "ha": "center"} if many else {"rotation": 45, "ha": "left"}
                axes.set_xticks(axes.get_xticks(), shown, rotation_mode="default", **turned)
            else:
                axes.set_xticklabels([])
        for axes in grid.flat[: len(names)]:
            axes.set_visible(True)
        figure.set_layout_engine(layout)
    return figure


def _draw_cells(axes: Axes, values: pd.DataFrame, texts: pd.DataFrame) -> None:
    """A table of percentages as colored cells, `texts` written into them; gray where there is none."""
    shares, (rows, columns) = values.to_numpy(dtype=float), values.shape
    sns.heatmap(
        shares,
        ax=axes,
        cmap="Blues",
        vmin=0,
        vmax=100,
        cbar=False,
        linewidths=0.4,
        linecolor="#dddddd",
        square=rows == columns,
        xticklabels=False,
        yticklabels=False,
    )
    axes.set(facecolor="#e8e8e8")
    for (row, column), text in np.ndenumerate(texts.to_numpy()):
        if text:
            color = "w" if shares[row, column] > PALE_PERCENT else ".15"
            made = axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=color, fontsize=SMALL)
            made.set_in_layout(False)  # it reaches over nothing, and measuring so many takes time
    axes.set_xticks(np.arange(columns) + 0.5, list(values.columns), rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(rows) + 0.5, list(values.index), va="center")
    axes.grid(visible=False)
    axes.tick_params(length=0)


def classes(data: GroupData) -> Sequence[Drawing]:
    """IoU of every class, and the confusion matrices."""
    found = data.dataset.classes
    values = {"group": data.group, "classes": found if len(found) > MOST_CLASSES else ()}
    return [
        drawing(class_figure(data, data.per_class), "IoU of each class", "per-class", "per-class", values),
        drawing(confusion_figure(data), "Confusion matrices", "confusion", "confusion", values),
    ]


PLOT = Plot(subject="group", place=3, draw=classes)
