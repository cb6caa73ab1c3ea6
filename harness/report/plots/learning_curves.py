"""Learning curves: training loss, and mIoU on val and train."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import metrics
from harness.report.grouping import Group
from harness.report.plots.base import Drawing, GroupData, Plot, PlotContext, drawing
from harness.report.plots.style import label_ends, new_figure, plain_axis, styled
from harness.report.store import Run, output_stride, title

SMOOTHING = 1 / 40  # share of a loss's points that it is smoothed over


def trained(group: Group) -> list[Run]:
    """The runs that trained something: refining another's output has no learning curve."""
    return [run for run in group.runs if run.history.iteration]


def loss_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """Smoothed training loss: columns network, stride, seed, iteration, value."""
    parts = []
    for run in runs:
        window = max(1, round(len(run.history.loss) * SMOOTHING))
        value = pd.Series(run.history.loss, dtype=float).rolling(window, min_periods=1).mean()
        columns = {
            "iteration": run.history.iteration,
            "value": value,
            "stride": output_stride(run.record.spec.architecture),
        }
        parts.append(pd.DataFrame({**columns, **_of(run)}))
    return pd.concat(parts)


def miou_frame(runs: Sequence[Run]) -> pd.DataFrame:
    """mIoU in percent: columns network, split ("val" as it went, "train" where it was scored), iteration, value."""
    rows = []
    for run in runs:
        for one in run.history.validation:
            miou = metrics.scores(np.array(one.matrix, dtype=np.int64)).miou
            rows.append({**_of(run), "split": "val", "iteration": one.iteration, "value": 100 * miou})
        for scored in run.scored:
            if scored.evaluation.split == "train":
                at = {"split": "train", "iteration": scored.evaluation.iteration}
                rows.append({**_of(run), **at, "value": 100 * scored.scores.miou})
    return pd.DataFrame(rows, columns=["network", "seed", "split", "iteration", "value"])


def _of(run: Run) -> dict[str, object]:
    return {"network": title(run.record.spec.network), "seed": run.record.spec.seed}


def curves_figure(context: PlotContext) -> Figure:
    """Left the loss, a panel for each size of cells that it is taken over; right the mIoU on val and train."""
    runs = trained(context.group)
    losses, mious = loss_frame(runs), miou_frame(runs)
    strides = sorted(losses["stride"].unique())
    with styled():
        names, of_loss = list(losses["network"].unique()), [f"loss{stride}" for stride in strides]
        layout: list[Any] = [[name, "miou"] for name in of_loss]
        height = 3.6 + 0.8 * len(strides)
        if len(names) > 6 or max(map(len, names)) > 22:  # names leave no room for panels side by side
            layout = [[name] for name in (*of_loss, "miou")]
            height = (2.0 + 0.1 * len(names)) * len(layout)
        figure = new_figure(height, context.heading("Learning curves", ""))
        grid: dict[str, Axes] = figure.subplot_mosaic(layout)
        for stride in strides:
            axes, own = grid[f"loss{stride}"], losses[losses["stride"].eq(stride)]
            cells = "" if stride == 1 else f", over cells of {stride} × {stride} pixels"
            ends = _draw(axes, context, own, marked=False)
            plain_axis(axes.yaxis, list(own["value"]))
            axes.set(xlabel="iteration", ylabel="cross-entropy")
            axes.set_title(f"training loss{cells}")
            label_ends(axes, ends)
        axes = grid["miou"]
        ends = _draw(axes, context, mious[mious["split"].eq("val")], marked=True)
        for (network, at), own in mious[mious["split"].eq("train")].groupby(["network", "iteration"], sort=False):
            look = {**context.palette.look(str(network)), "mfc": "white", "linestyle": "none"}
            axes.plot([float(str(at))], [own["value"].mean()], label=f"{network}, train", clip_on=False, **look)
        axes.set(xlabel="iteration", ylabel="mIoU (%)")
        axes.set_title("mIoU: val filled, train hollow")
        label_ends(axes, ends)
    return figure


def _draw(axes: Axes, context: PlotContext, frame: pd.DataFrame, *, marked: bool) -> list[tuple[str, float, str]]:
    """A line a network: the mean over its seeds, with a band from the lowest to the highest; gives the ends."""
    ends: list[tuple[str, float, str]] = []
    if frame.empty:  # as where no validation labeled a pixel
        return ends
    for network, own in frame.groupby("network", sort=False):
        found = own.groupby("iteration")["value"].agg(["mean", "min", "max"])
        look = context.palette.look(str(network))
        color = look["color"]
        axes.plot(found.index, found["mean"], label=str(network), **(look if marked else {"color": color}))
        if own["seed"].nunique() > 1:
            axes.fill_between(found.index, found["min"], found["max"], color=color, alpha=0.2, lw=0)
        ends.append((str(network), float(found["mean"].iloc[-1]), color))
    axes.set_xlim(0, 1.02 * float(frame["iteration"].max()))
    return ends


def learning_curves(data: GroupData) -> list[Drawing]:
    """The picture of a group, none without a run that trained."""
    runs = trained(data.group)
    if not runs:
        return []
    apart = {
        title(run.record.spec.network): stride
        for run in runs
        if (stride := output_stride(run.record.spec.architecture)) > 1
    }
    points = max(round(len(run.history.loss) * SMOOTHING) for run in runs)
    values = {"group": data.group, "apart": apart, "points": points, "seeds": data.several_seeds}
    return [drawing(curves_figure(data), "Learning curves", "learning-curves", "learning-curves", values)]


PLOT = Plot(subject="group", place=2, draw=learning_curves)
