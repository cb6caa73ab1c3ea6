"""Pictures: kept predictions beside image and truth, where these may be shown, with their errors; worst images."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from datasets import DatasetInfo
from datasets.base import Color
from harness.report.grouping import Group
from harness.report.metrics import image_miou
from harness.report.plots.base import Drawing, GroupData, Plot, PlotContext, drawing
from harness.report.plots.style import DARK, SMALL, WIDTH_IN, key, new_figure, styled
from harness.report.scored_data import Source
from harness.report.store import title

VOID = 255
VOID_COLOR, RIGHT_COLOR, WRONG_COLOR = (0, 0, 0), (222, 222, 222), (178, 0, 24)
WORST = 2  # images of each network
COLUMNS = 7  # of the legend
NAME_CHARACTERS = 28  # as many fit over a quarter of the width
_Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A picture (H, W, 3) of a grid with its heading; none where it is missing."""

    name: str
    picture: _Pixels | None
    photo: bool = False


def colored(labels: _Pixels, dataset: DatasetInfo) -> _Pixels:
    """Class numbers (H, W) -> colors (H, W, 3); void, and numbers that are no class, are black."""
    table = np.full((256, 3), VOID_COLOR, dtype=np.uint8)
    table[: dataset.num_classes] = dataset.colors
    pixels: _Pixels = table[labels]
    return pixels


def errors(prediction: _Pixels, truth: _Pixels) -> _Pixels:
    """Label maps (H, W) -> colors (H, W, 3): light gray where right, dark red where wrong, black where void."""
    table = np.array([RIGHT_COLOR, WRONG_COLOR, VOID_COLOR], dtype=np.uint8)
    pixels: _Pixels = table[np.where(truth == VOID, 2, prediction != truth)]
    return pixels


def image_ids_of(group: Group) -> list[str]:
    """The test images whose predictions are kept by the group's runs, sorted."""
    return sorted({image_id for run in group.runs for image_id in run.record.image_ids})


def alone_cells(group: Group, dataset: DatasetInfo) -> list[Cell]:
    """The kept predictions of each network's first seed, a row a network."""
    cells = []
    for name in group.networks:
        found = [group.of(name)[0].prediction(image_id) for image_id in image_ids_of(group)]
        pictures = [None if one is None else colored(one, dataset) for one in found]
        cells += [Cell(name="" if place else title(name), picture=one) for place, one in enumerate(pictures)]
    return cells


def panel_cells(group: Group, source: Source, image_id: str) -> list[Cell]:
    """Image and truth, then of each network's first seed the prediction and its errors."""
    cells = data_cells("image", "truth", source, source.test.image_ids.index(image_id))
    _, truth = source.test[source.test.image_ids.index(image_id)]
    for name in group.networks:
        found = group.of(name)[0].prediction(image_id)
        if found is None:
            cells += [Cell(name=title(name), picture=None), Cell(name="errors", picture=None)]
            continue
        wrong = 100 * float((found != truth)[truth != VOID].mean())
        cells.append(Cell(name=title(name), picture=colored(found, source.test.info)))
        cells.append(Cell(name=f"errors: {wrong:.1f} % of pixels", picture=errors(found, truth)))
    return cells


def data_cells(image_name: str, truth_name: str, source: Source, place: int) -> list[Cell]:
    """A test image and its truth."""
    image, truth = source.test[place]
    pictures = colored(truth, source.test.info)
    return [Cell(name=image_name, picture=image, photo=True), Cell(name=truth_name, picture=pictures)]


def image_scores(group: Group) -> pd.DataFrame:
    """A row a test image and network of its first seed: network, image (its place in the split), miou in percent."""
    rows = []
    for name in group.networks:
        scored = group.of(name)[0].at("test", group.shown_label)
        if scored is not None:
            rows += [(title(name), place, 100 * float(miou)) for place, miou in enumerate(image_miou(scored))]
    return pd.DataFrame(rows, columns=["network", "image", "miou"]).dropna()


def worst_cells(frame: pd.DataFrame, source: Source) -> list[Cell]:
    """Of each network the images with the lowest mIoU, worst first: image and truth of each."""
    cells = []
    for network, own in frame.groupby("network", sort=False):
        for row in own.nsmallest(WORST, "miou").to_dict("records"):
            place = int(row["image"])
            names = f"{network}", f"{row['miou']:.0f} %: {source.test.image_ids[place]}"
            cells += data_cells(*names, source, place)
    return cells


def grid_figure(
    dataset: DatasetInfo, heading: str, cells: Sequence[Cell], columns: int, further: Mapping[str, Color]
) -> Figure:
    """Pictures in rows, with the legend of the classes and of further colors."""
    rows, (height, width) = -(-len(cells) // columns), dataset.size
    entries = {**dict(zip(dataset.classes, dataset.colors, strict=True)), **further}
    row_in = (WIDTH_IN - 0.1) / columns * height / width + 0.2
    with styled():
        figure = new_figure(0.5 + 0.2 * -(-len(entries) // COLUMNS) + row_in * rows, heading)
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        grid = figure.subplots(rows, columns, squeeze=False)
        for place, axes in enumerate(grid.flat):
            _draw_cell(axes, cells[place] if place < len(cells) else None)
        colors = {name: (red / 255, green / 255, blue / 255) for name, (red, green, blue) in entries.items()}
        patches = [Patch(label=name, facecolor=color, edgecolor="#777777") for name, color in colors.items()]
        key(figure, patches, COLUMNS)
    return figure


def _draw_cell(axes: Axes, cell: Cell | None) -> None:
    axes.set_axis_off()
    if cell is None:
        return
    axes.set_title(textwrap.fill(cell.name, NAME_CHARACTERS), fontsize=SMALL, pad=2)
    if cell.picture is None:
        axes.text(0.5, 0.5, "not kept", ha="center", va="center", transform=axes.transAxes)
    else:
        axes.imshow(cell.picture, interpolation="antialiased" if cell.photo else "nearest")


def scores_figure(context: PlotContext, frame: pd.DataFrame) -> Figure:
    """mIoU of every test image, a row a network, with its median; the worst image is named by its place."""
    names = list(dict.fromkeys(frame["network"]))
    with styled():
        figure = new_figure(1.1 + 0.5 * len(names), context.heading("mIoU of each image"))
        axes = figure.subplots()
        for row, name in enumerate(names):
            own = frame[frame["network"].eq(name)]
            spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(own))
            color = context.palette.colors[name]
            axes.plot(own["miou"], row + spread, ".", color=color, ms=4, alpha=0.5, label=name, rasterized=True)
            axes.plot([own["miou"].median()] * 2, [row - 0.36, row + 0.36], color="black", lw=2)
            worst = int(own["miou"].argmin())
            image, miou = int(own["image"].iloc[worst]), float(own["miou"].iloc[worst])
            at, text = (miou, row + float(spread[worst])), f"no. {image}: {miou:.0f}"
            axes.annotate(text, at, xytext=(-5, 0), textcoords="offset points", ha="right", va="center", color=DARK)
        low, high = frame["miou"].min(), frame["miou"].max()
        axes.set_yticks(range(len(names)), names)
        axes.set(
            xlabel="mIoU of an image (%)", ylim=(len(names) - 0.5, -0.5), xlim=(low - 0.22 * (high - low), high + 1)
        )
        axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= axes.get_xlim()[1]])
        axes.grid(visible=False, axis="y")
    return figure


def pictures(data: GroupData) -> list[Drawing]:
    """Scores of every image; predictions, with image, truth and errors where the source is at hand; worst images."""
    group, source, dataset = data.group, data.source, data.dataset
    image_ids, frame = image_ids_of(group), image_scores(group)
    values = {"group": group, "dataset": dataset, "worst": WORST, "images": image_ids}
    made = []
    if not frame.empty:
        made.append(drawing(scores_figure(data, frame), "Scores of each image", "images", "images", values))
    if image_ids and not (source and dataset.synthetic):
        figure = grid_figure(dataset, data.heading("Predictions"), alone_cells(group, dataset), len(image_ids), {})
        made.append(drawing(figure, "Predictions", "predictions", "predictions", values, keep=dataset.colors))
    if source is None:
        return made
    further = {"void": VOID_COLOR, "right": RIGHT_COLOR, "wrong": WRONG_COLOR}
    keep = (*dataset.colors, *further.values())
    with_data = partial(drawing, keep=keep, local=not dataset.synthetic, photo=True)
    for number, image_id in enumerate(one for one in image_ids if one in source.test.image_ids):
        heading = f"Predictions of image {image_id}: {dataset.title} test"
        figure = grid_figure(dataset, heading, panel_cells(group, source, image_id), 4, further)
        name = f"Test image {image_id} and predictions"
        made.append(with_data(figure, name, f"panel-{number + 1}", "panel", {"image_id": image_id, **values}))
    if not frame.empty and frame["image"].max() < len(source.test):
        heading, void = data.heading("Worst images of each network"), {"void": VOID_COLOR}
        figure = grid_figure(dataset, heading, worst_cells(frame, source), 2 * WORST, void)
        made.append(with_data(figure, "Worst images", "worst", "worst", values))
    return made


PLOT = Plot(subject="group", place=4, draw=pictures)
