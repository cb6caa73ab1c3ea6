"""The plots of one group of runs. Each function returns the PNG's bytes."""

import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from datasets import DatasetInfo
from harness import metrics
from harness.report.figures import WIDTH_IN, Palette, png
from harness.report.groups import Group, Run, title
from harness.report.wording import class_weighting_words, reduced_mark

# A training loss is smoothed over this share of its points.
SMOOTHING = 1 / 40
# Width of a sign and of a line with its space in a legend, in inches.
SIGN_IN, HANDLE_IN = 0.066, 0.5
# As many fit beside each other in a title.
TITLE_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class PlotContext:
    """What all plots of a group share."""

    group: Group
    dataset: DatasetInfo
    palette: Palette

    def heading(self, what: str) -> str:
        """Title of a figure: what it shows, of which runs, and whether they are reduced."""
        return figure_heading(what, self.dataset, self.group, class_weighting_words(self.group.protocol))

    @property
    def several_seeds(self) -> bool:
        """Whether some network has runs of more than one seed."""
        return any(len(self.group.of(name)) > 1 for name in self.group.networks)


def bars_words(seeds: Collection[int]) -> str:
    """What bars are, by how many seeds each network has."""
    deviation, interval = "± standard deviation over seeds", "95 % bootstrap interval"
    if max(seeds) == 1:
        return interval
    return deviation if min(seeds) > 1 else f"{deviation}; of one seed: {interval}"


def figure_heading(what: str, dataset: DatasetInfo, group: Group, class_weighting: str = "") -> str:
    """Title of a figure: what it shows, of which runs, and whether they are reduced."""
    made = [dataset.title, group.protocol.name, class_weighting, group.computed, group.weights.title]
    lines = [*what.split("\n"), ", ".join(word for word in made if word), reduced_mark(group)]
    return "\n".join(textwrap.fill(line, TITLE_CHARACTERS) for line in lines if line)


def learning_curves(context: PlotContext) -> bytes:
    """Smoothed training loss, and mIoU on val at each validation; with several seeds their mean and range."""
    runs = trained(context.group)
    losses = pd.concat([_losses(run) for run in runs])
    validations = pd.concat([_validations(run) for run in runs])
    points = max(len(run.history.iteration) for run in runs)
    names = list(dict.fromkeys(title(run.record.spec.network) for run in runs))

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        shared: dict[str, Any] = {
            "hue": "network",
            "palette": dict(context.palette.colors),
            "errorbar": ("pi", 100),
        }
        sns.lineplot(losses, x="iteration", y="loss", ax=left, legend=False, lw=1.4, **shared)
        sns.lineplot(
            validations,
            x="iteration",
            y="mIoU",
            ax=right,
            legend=False,
            style="network",
            markers=dict(context.palette.markers),
            dashes=False,
            **shared,
        )
        right.margins(y=0.1)
        left.set(xlabel="iteration", ylabel=f"training loss, mean over {_window(points)} points", ylim=(0, None))
        right.set(xlabel="iteration", ylabel="mIoU on val (%)", ylim=(0, None))
        legend(figure, context, names)
        seeds = "\nlines: mean over seeds, bands: from lowest to highest" if context.several_seeds else ""
        figure.suptitle(context.heading(f"Learning curves: cross-entropy in training, mIoU on val{seeds}"))

    return png(draw, 4.2 + legend_height(names))


def trained(group: Group) -> list[Run]:
    """The runs that trained something: refining another's output has no learning curve."""
    return [run for run in group.runs if run.history.iteration]


def _window(points: int) -> int:
    return max(1, round(points * SMOOTHING))


def _losses(run: Run) -> pd.DataFrame:
    history = run.history
    loss = pd.Series(history.loss, dtype=float).rolling(_window(len(history.loss)), min_periods=1).mean()
    return pd.DataFrame({"network": title(run.record.spec.network), "iteration": history.iteration, "loss": loss})


def _validations(run: Run) -> pd.DataFrame:
    found = run.history.validation
    miou = [100 * metrics.scores(np.array(one.matrix, dtype=np.int64)).miou for one in found]
    iterations = [one.iteration for one in found]
    return pd.DataFrame({"network": title(run.record.spec.network), "iteration": iterations, "mIoU": miou})


def legend(
    figure: Figure, context: PlotContext, names: Sequence[str], *, bars: bool = False, lines: bool = True
) -> None:
    """One legend for the figure, under it, so that it hides no data."""
    handles = [
        Line2D(
            [],
            [],
            label=name,
            color=context.palette.colors[name],
            marker="s" if bars else context.palette.markers[name],
            linestyle="-" if lines and not bars else "none",
        )
        for name in names
    ]
    columns = legend_columns(names)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)


def legend_columns(names: Sequence[str]) -> int:
    """As many columns as fit the figure's width, at most five; a column is as wide as its longest name."""
    for columns in range(min(len(names), 5), 1, -1):
        # The first columns are one longer where the rows do not come out even.
        longest = [max(map(len, column)) for column in np.array_split(np.array(names), columns)]
        if sum(longest) * SIGN_IN + columns * HANDLE_IN < WIDTH_IN:
            return columns
    return 1


def legend_height(names: Sequence[str]) -> float:
    """Inches that the legend's rows need beyond the first."""
    return 0.18 * (-(-len(names) // legend_columns(names)) - 1)
