"""What plots are drawn from and what they leave: contexts, pictures with captions, reasons why there is none."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

import datasets
from harness.config.suite import load_suite, suite_names
from harness.report.grouping import Group
from harness.report.plots.png import MAX_BYTES, PHOTO_BYTES, png
from harness.report.plots.style import Palette
from harness.report.render import render
from harness.report.resources import MeasurementGroup

Subject = Literal["group", "device", "series", "table1", "recipes", "performance"]


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
        suites = (load_suite(name) for name in suite_names() if not self.dataset.synthetic)
        mine = (self.dataset.name, self.group.protocol.name)
        return any(one.table == "table3" and one.dataset == mine[0] and mine[1] in one.protocols for one in suites)

    def heading(self, what: str, split: str = "test") -> str:
        """Title of a figure in one line: what it shows, of which data, and whether its runs are reduced."""
        return f"{what}: {self.dataset.title} {split}".strip() + (" (REDUCED)" if self.group.reduced else "")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The test split, opened for its pictures, and the hash of the edition that it is of."""

    test: datasets.Dataset
    digest: str


def open_source(dataset: datasets.DatasetInfo, data_root: str | None) -> Source | None:
    """The pictures of a dataset with their edition, if they may be had; as `open_test`."""
    test = open_test(dataset, data_root)
    if test is None:
        return None
    return Source(test=test, digest=datasets.content_hash(dataset.name, None if dataset.synthetic else data_root)[1])


def open_test(dataset: datasets.DatasetInfo, data_root: str | None) -> datasets.Dataset | None:
    """The test split, if its pictures may be had: of drawn data always, of others where a root is given.

    Raises:
        datasets.DatasetError: a root was given, and the data there can't be read.
    """
    if not dataset.synthetic and data_root is None:
        return None
    return datasets.load(dataset.name, "test", None if dataset.synthetic else data_root)


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
