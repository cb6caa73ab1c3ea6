"""The plots of one group of runs class by class. Each function returns the PNG's bytes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.accuracy import confusion
from harness.report.figures import png
from harness.report.groups import title
from harness.report.plots import PlotContext, legend

# Bars of more networks are too thin to be told apart.
MOST_BARS = 6
# Bars of more classes do not fit beside each other, and numbers not into a confusion matrix's cells.
MOST_CLASSES = 20
DARK = 55  # percent, from which a cell is so dark that its number is white


def class_scores(context: PlotContext, frame: pd.DataFrame) -> bytes:
    """IoU of every class on test; from `accuracy.per_class`. Bars are for few networks and few classes."""
    few = frame["network"].nunique() <= MOST_BARS and len(context.dataset.classes) <= MOST_CLASSES
    return _class_bars(context, frame) if few else _class_cells(context, frame)


def _class_cells(context: PlotContext, frame: pd.DataFrame) -> bytes:
    """A cell a network and class, with its IoU."""
    values = frame.pivot(index="network", columns="class", values="iou")
    names = list(dict.fromkeys(frame["network"]))
    values = values.reindex(index=names, columns=list(context.dataset.classes))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shown = values.map(lambda value: "–" if pd.isna(value) else f"{value:.0f}")
        _cells(axes, values, shown, font_size=8.0)
        axes.set(xlabel="", ylabel="")
        heading = f"IoU of each class on test (%), checkpoint {context.group.shown_checkpoint}"
        figure.suptitle(context.heading(heading))

    return png(draw, 1.9 + 0.32 * len(names))


def _class_bars(context: PlotContext, frame: pd.DataFrame) -> bytes:

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        sns.barplot(
            frame,
            x="class",
            y="iou",
            hue="network",
            palette=dict(context.palette.colors),
            saturation=1.0,
            errorbar=None,
            ax=axes,
            legend=False,
        )
        axes.set(xlabel="", ylabel="IoU on test (%)", ylim=(0, 100))
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
        legend(figure, context, list(dict.fromkeys(frame["network"])), bars=True)
        figure.suptitle(context.heading(f"IoU of each class on test, checkpoint {context.group.shown_checkpoint}"))

    return png(draw, 4.0)


def confusion_matrices(context: PlotContext) -> bytes:
    """Row-normalized confusion matrix of each network on test, percent."""
    names = context.group.networks
    classes = context.dataset.classes
    rows = -(-len(names) // 2)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, 2, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(names):
                axes.set_axis_off()
                continue
            values = 100 * confusion(context.group, names[place])
            _heatmap(axes, values, classes)
            axes.set_title(title(names[place]), fontweight="bold")
            axes.set_ylabel("truth" if place % 2 == 0 else "")
            axes.set_xlabel("predicted")
            if place % 2:
                axes.set_yticklabels([])
        heading = f"Confusion matrices on test, checkpoint {context.group.shown_checkpoint}"
        blank = "; blank: below 0.5" if len(classes) <= MOST_CLASSES else ""
        how = f"% of the pixels of a class{blank}, gray: class absent"
        figure.suptitle(context.heading(f"{heading}\n{how}"))

    return png(draw, 0.9 + 3.9 * rows)


def _heatmap(axes: Axes, values: np.ndarray, classes: Sequence[str]) -> None:
    frame = pd.DataFrame(values, index=list(classes), columns=list(classes))
    many = len(classes) > MOST_CLASSES
    shown = frame.map(lambda value: "" if many or pd.isna(value) or value < 0.5 else f"{value:.0f}")
    _cells(axes, frame, shown, font_size=6.5)
    if many:
        axes.tick_params(labelsize=4.5)


def _cells(axes: Axes, frame: pd.DataFrame, shown: pd.DataFrame, font_size: float) -> None:
    """A table of percentages as colored cells, `shown` written into them; gray where there is none.

    Not seaborn's heatmap, which draws the whole figure for each of them.
    """
    values = frame.to_numpy(dtype=float)
    rows, columns = values.shape
    masked = np.ma.masked_invalid(values)
    axes.pcolormesh(masked, cmap="Blues", vmin=0, vmax=100, edgecolors="#dddddd", linewidth=0.4)
    axes.set(xlim=(0, columns), ylim=(rows, 0))
    axes.set_xticks(np.arange(columns) + 0.5, [str(name) for name in frame.columns])
    axes.set_yticks(np.arange(rows) + 0.5, [str(name) for name in frame.index])
    axes.grid(False)
    axes.tick_params(length=0)
    axes.set_aspect("equal" if rows == columns else "auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    for (row, column), text in np.ndenumerate(shown.to_numpy()):
        if text:
            color = "white" if values[row, column] > DARK else "#262626"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=font_size, color=color)
    axes.set_facecolor("#eeeeee")
    axes.tick_params(axis="x", rotation=60, labelsize=7)
    axes.tick_params(axis="y", rotation=0, labelsize=7)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
