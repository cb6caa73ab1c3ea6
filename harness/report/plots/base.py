"""What plots are drawn from and what they leave: contexts, pictures with captions, reasons why there is none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

import datasets
from harness.report.grouping import Group, suites_of
from harness.report.plots.png import MAX_BYTES, PHOTO_BYTES, png
from harness.report.plots.style import Palette
from harness.report.render import render
from harness.report.resources import MeasurementGroup
from harness.report.scored_data import Source

Subject = Literal["group", "device", "series", "table1", "recipes", "home"]


@dataclass(frozen=True, kw_only=True)
class PlotContext:
    """What all plots of a group share."""

    group: Group
    palette: Palette

    @property
    def dataset(self) -> datasets.DatasetInfo:
        """That its runs are scored on."""
        return self.group.dataset

    @property
    def several_seeds(self) -> bool:
        """Whether some network has runs of more than one seed."""
        return any(len(self.group.of(name)) > 1 for name in self.group.networks)

    @property
    def with_paper(self) -> bool:
        """Whether the paper's Table 3 may stand beside: its recipe and its dataset."""
        return not self.dataset.synthetic and any(one.table == "table3" for one in suites_of(self.group.spec))

    def heading(self, what: str, split: str = "test") -> str:
        """Title of a figure in one line: what it shows, of which data, and whether its runs are reduced."""
        return f"{what}: {self.dataset.title} {split}".strip() + (" (REDUCED)" if self.group.reduced else "")


@dataclass(frozen=True, kw_only=True)
class GroupData(PlotContext):
    """What a group's plots are drawn from.

    per_class: of `accuracy.per_class`. costs_by_fit: measurements, first those beside its scores. source: pictures,
    if they may be had.
    """

    per_class: pd.DataFrame
    costs_by_fit: tuple[MeasurementGroup, ...]
    source: Source | None


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A picture. title: of its section. name: its file. caption: Markdown, one paragraph. local: not to be spread."""

    title: str
    name: str
    data: bytes
    caption: str
    local: bool = False


@dataclass(frozen=True, kw_only=True)
class NoPlot:
    """A picture that there can't be, and why."""

    title: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A kind of plot, for the registry. place: among those of its subject, lowest first."""

    subject: Subject
    place: int
    draw: Callable[..., Sequence[Drawing | NoPlot] | Drawing | None]


def drawing(
    figure: Figure,
    title: str,
    name: str,
    template: str,
    values: Mapping[str, Any],
    *,
    keep: Sequence[tuple[int, int, int]] = (),
    local: bool = False,
    photo: bool = False,
) -> Drawing:
    """The picture of a figure, with the caption that `templates/captions/<template>.md.j2` makes of the values.

    keep: colors that stay exact. local: see `Drawing`. photo: larger, since it holds photographs.
    """
    data = png(figure, keep, PHOTO_BYTES if photo else MAX_BYTES)
    return Drawing(title=title, name=f"{name}.png", data=data, caption=caption(template, **values), local=local)


def caption(template: str, **values: Any) -> str:
    """One paragraph of Markdown."""
    return " ".join(render(f"captions/{template}.md.j2", **values).split())


def bars_words(seeds: Collection[int]) -> str:
    """What bars are, by how many seeds each network has."""
    interval = "95 % bootstrap interval"
    if max(seeds) == 1:
        return interval
    return f"{interval}, over seeds too" + ("" if min(seeds) > 1 else " where there are several")
