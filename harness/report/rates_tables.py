"""A comparison of recipes as text cells, as files and as a plot."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from datasets import DatasetInfo
from harness.config.optimizers import OPTIMIZERS
from harness.config.suite import Suite
from harness.report.accuracy import FINISHED
from harness.report.accuracy_tables import val_remark, with_origin
from harness.report.families import Family
from harness.report.figures import Palette, png
from harness.report.plots import PlotContext, figure_heading, legend, legend_height
from harness.report.rates import means
from harness.report.tables import csv, latex, listing, markdown, percent, spread
from harness.report.wording import commands, extent, group_title, ranking_notes, reduced_mark

# Head of the first column.
_RECIPE = "optimizer, rate, schedule"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What texts and plot are made of: a family and the frame of `rates.rates`."""

    family: Family
    suite: Suite
    dataset: DatasetInfo
    frame: pd.DataFrame

    @property
    def heading(self) -> str:
        """Of the family's section."""
        group = self.family.first
        named = group_title(group).replace(group.protocol.title, self.family.name)
        return f"mIoU on val by learning rate: {self.dataset.title}, {named}"

    @property
    def mark(self) -> str:
        """`REDUCED: ...`, empty for full runs."""
        return reduced_mark(self.family.first)


def rates_text(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each recipe, a column for each network, and the mean over all of them."""
    columns, average = _by_network(frame, "mIoU %", _cell), means(frame)
    best = average.max() if len(average) > 1 else None
    columns[f"mean of {frame['network'].nunique()} networks"] = [
        f"{average[name]:.2f}{' *' if average[name] == best else ''}" if name in average else "–"
        for name in columns[_RECIPE]
    ]
    return pd.DataFrame(columns)


def loss_text(frame: pd.DataFrame) -> pd.DataFrame:
    """The same of the training loss at the end."""
    return pd.DataFrame(_by_network(frame, "training loss", _loss))


def _by_network(frame: pd.DataFrame, what: str, cell: Callable[[Mapping[Hashable, Any]], str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {_RECIPE: list(dict.fromkeys(frame["recipe"]))}
    for network, rows in frame.groupby("network", sort=False):
        columns[f"{network}: {what}"] = [cell(row) for row in rows.to_dict("records")]
    return columns


def _cell(row: Mapping[Hashable, Any]) -> str:
    if row["status"] != FINISHED:
        return str(row["status"])
    shown = spread(row["mIoU"], std=row["mIoU_std"], low=row["mIoU_low"], high=row["mIoU_high"])
    return f"{shown} *" if row["highest"] else shown


def _loss(row: Mapping[Hashable, Any]) -> str:
    return "–" if pd.isna(row["loss"]) else f"{row['loss']:.3f}"


def notes(rates: Rates) -> list[str]:
    """What a reader must know, and what the comparison says."""
    group, frame = rates.family.first, rates.frame
    size = extent(group.protocol.size or rates.dataset.size)
    found = [
        f"Val, at the last of {group.protocol.iterations:,} iterations, the same for all. Input {size}, "
        f"batch {group.protocol.batch_size}. Test takes no part in the choice and is not shown.",
        "`*`: the highest of its column. `[low, high]`: 95 % bootstrap interval of one seed; recipes whose "
        "intervals overlap widely are not told apart.",
    ]
    average = means(frame)
    if len(average) > 1:
        best = str(average.idxmax())
        own = frame[frame["highest"] & (frame["recipe"] != best)]["network"]
        others = f" Alone, another would suit {', '.join(own)}." if len(own) else " It is each network's own best too."
        found.append(
            f"One recipe for all, by the mean val mIoU of the {frame['network'].nunique()} networks: {best} "
            f"({percent(average.max())} %).{others}"
        )
    found.append(val_remark(rates.dataset))
    found.append(f"Made by {_made_by(rates)}.")
    return [*(note for note in found if note), *ranking_notes(group, rates.dataset)]


def _made_by(rates: Rates) -> str:
    """One command where all of the suite's recipes were run, else one for each that was."""
    groups, suite = rates.family.groups, rates.suite
    if len(groups) == len(suite.recipes):
        return commands(groups[0], suite)
    return " and ".join(commands(group, suite, alone=True) for group in groups)


def body(rates: Rates) -> list[str]:
    """Tables and notes in Markdown."""
    losses = markdown(loss_text(rates.frame))
    return [
        markdown(rates_text(rates.frame)),
        listing(notes(rates)),
        f"#### Training loss, mean over the last tenth of the iterations\n\n{losses}",
    ]


def rates_files(rates: Rates) -> dict[str, str]:
    """`rates.md`, `.csv` and `.tex` of a family."""
    mark = f"**{rates.mark}**\n" if rates.mark else ""
    caption = ". ".join(part.rstrip(".") for part in (rates.heading, rates.mark) if part) + "."
    return {
        "rates.md": "\n".join(part for part in (f"# {rates.heading}\n", mark, *body(rates)) if part),
        "rates.csv": csv(with_origin(rates.family.first, rates.frame).drop(columns="protocol")),
        "rates.tex": latex(
            rates_text(rates.frame), caption=caption, label=f"tab:{rates.family.slug}", notes=notes(rates)
        ),
    }


def rates_plot(rates: Rates, palette: Palette) -> bytes | None:
    """mIoU on val against the rate, a line for each network and optimizer; none without a finished run."""
    data = rates.frame[rates.frame["mIoU"].notna()]
    if data.empty:
        return None
    names = list(dict.fromkeys(data["network"]))
    context = PlotContext(group=rates.family.first, dataset=rates.dataset, palette=palette)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for (network, optimizer), rows in data.groupby(["network", "optimizer"], sort=False):
            axes.errorbar(
                rows["lr"],
                rows["mIoU"],
                color=palette.colors[str(network)],
                marker=palette.markers[str(network)],
                linestyle="-" if optimizer != "sgd" else "none",
                markerfacecolor=palette.colors[str(network)] if optimizer != "sgd" else "white",
            )
        axes.set(xscale="log", xlabel="learning rate", ylabel="mIoU on val (%)", ylim=(0, None))
        sns.despine(ax=axes)
        legend(figure, context, names)
        filled = ", ".join(OPTIMIZERS[one].title for one in data["optimizer"].unique() if one != "sgd") or "AdamW"
        what = f"mIoU on val by learning rate; filled: {filled}, hollow: SGD"
        figure.suptitle(figure_heading(what, rates.dataset, rates.family.first))

    return png(draw, 4.2 + legend_height(names))
