"""A comparison of recipes: mIoU on val against the learning rate."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from harness.config.optimizers import OPTIMIZERS
from harness.report.grouping import Group
from harness.report.plots.base import Drawing, Plot, PlotContext, drawing
from harness.report.plots.style import Mark, Palette, key, label_points, new_figure, sign, styled


def rates_figure(context: PlotContext, frame: pd.DataFrame) -> Figure | None:
    """A line a network and optimizer, SGD hollow and dashed; none without a finished run.

    Args:
        context: of any of the compared groups.
        frame: from `rates.rates`.
    """
    data = frame[frame["mIoU"].notna()]
    if data.empty:
        return None
    with styled():
        figure = new_figure(4.4, context.heading("mIoU by learning rate", "val"))
        axes = figure.subplots()
        marks = []
        for (network, optimizer), rows in data.groupby(["network", "optimizer"], sort=False):
            name, hollow, found = str(network), optimizer == "sgd", rows.sort_values("lr")
            look = {**context.palette.look(name), **({"linestyle": "--", "mfc": "white"} if hollow else {})}
            axes.plot(found["lr"], found["mIoU"], label=f"{name}, {OPTIMIZERS[str(optimizer)].title}", **look)
            best = found["mIoU"].idxmax()
            for row in found.itertuples():
                text = name if row.Index == best else ""
                value = float(str(row.mIoU))
                marks.append(Mark(x=float(str(row.lr)), y=value, low=value, high=value, text=text, color=look["color"]))
        rates = sorted(data["lr"].unique())
        axes.set(xscale="log", xlabel="learning rate (logarithmic)", ylabel="mIoU on val (%)")
        axes.set_xlim(rates[0] / 2, rates[-1] * 2)
        axes.margins(y=0.1)
        axes.xaxis.set_major_locator(FixedLocator(rates))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{rate:g}" for rate in rates]))
        axes.xaxis.set_minor_locator(NullLocator())
        looks: dict[bool, dict[str, str]] = {True: {"linestyle": "--", "mfc": "white"}, False: {"linestyle": "-"}}
        names = {str(one): OPTIMIZERS[str(one)].title for one in data["optimizer"].unique()}
        key(figure, [sign(text, marker="o", **looks[name == "sgd"]) for name, text in names.items()])
        label_points(axes, marks)
    return figure


def rates_plot(group: Group, frame: pd.DataFrame, palette: Palette) -> Drawing | None:
    """The picture of a comparison; none without a finished run."""
    if (figure := rates_figure(PlotContext(group=group, palette=palette), frame)) is None:
        return None
    return drawing(figure, "mIoU by learning rate", "rates", "rates", {"group": group})


PLOT = Plot(subject="recipes", place=1, draw=rates_plot)
