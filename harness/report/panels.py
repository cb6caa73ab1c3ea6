"""Qualitative panels: kept predictions in class colors, beside image and truth where these may be shown."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

import datasets
from harness.report.figures import WIDTH_IN, png
from harness.report.groups import Group, Run, title
from harness.report.plots import PlotContext

VOID_COLOR = (0, 0, 0)
# As many fit beside a picture; longer names are broken at a hyphen.
NAME_SIGNS = 24
LEGEND_COLUMNS = 6
_Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One row of a panel: a name and one picture (H, W, 3) a test image, or none where it is missing."""

    name: str
    pictures: tuple[_Pixels | None, ...]


def colored(labels: _Pixels, dataset: datasets.DatasetInfo) -> _Pixels:
    """Class numbers (H, W) -> colors (H, W, 3); void, and numbers that are no class, are black."""
    table = np.zeros((256, 3), dtype=np.uint8)
    table[:] = VOID_COLOR
    table[: dataset.num_classes] = dataset.colors
    pixels: _Pixels = table[labels]
    return pixels


def image_ids_of(group: Group) -> list[str]:
    """The test images whose predictions are kept by the group's runs, sorted."""
    return sorted({stem for run in group.runs for stem in run.record.image_ids})


def prediction_strips(group: Group, dataset: datasets.DatasetInfo) -> list[Strip]:
    """The kept predictions of each network's first seed."""
    image_ids = image_ids_of(group)
    return [
        Strip(
            name=title(name),
            pictures=tuple(_prediction(group.of(name)[0], stem, dataset) for stem in image_ids),
        )
        for name in group.networks
    ]


def _prediction(run: Run, stem: str, dataset: datasets.DatasetInfo) -> _Pixels | None:
    try:
        with Image.open(run.stored.prediction_path(stem)) as picture:
            return colored(np.asarray(picture.convert("L"), dtype=np.uint8), dataset)
    except (OSError, UnidentifiedImageError):
        return None  # an image that this run did not keep


@dataclass(frozen=True, kw_only=True)
class Source:
    """The test split, opened for its pictures, and the hash of the edition that it is of."""

    test: datasets.Dataset
    digest: str


def open_source(dataset: datasets.DatasetInfo, data_root: str | None) -> Source | None:
    """The pictures of a dataset, if they may be had: of drawn data always, of others where a root is given.

    Raises:
        datasets.DatasetError: a root was given, and the data there can't be read.
    """
    root = None if dataset.synthetic else data_root
    if not dataset.synthetic and root is None:
        return None
    _, digest = datasets.content_hash(dataset.name, root)
    return Source(test=datasets.load(dataset.name, "test", root), digest=digest)


def data_strips(group: Group, source: Source) -> list[Strip]:
    """Image and truth of the test images whose predictions are kept."""
    places = {stem: place for place, stem in enumerate(source.test.image_ids)}
    pairs = [source.test[places[stem]] if stem in places else None for stem in image_ids_of(group)]
    truth = [None if pair is None else colored(pair[1], source.test.info) for pair in pairs]
    return [
        Strip(name="image", pictures=tuple(None if pair is None else pair[0] for pair in pairs)),
        Strip(name="truth", pictures=tuple(truth)),
    ]


def draw_panels(context: PlotContext, strips: Sequence[Strip]) -> bytes:
    """A row a strip, a column an image, and the legend of the classes. Returns the PNG."""
    image_ids = image_ids_of(context.group)
    height, width = context.dataset.size
    row_in = (WIDTH_IN - 0.9) / len(image_ids) * height / width

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(strips), len(image_ids), squeeze=False)
        for row, strip in zip(grid, strips, strict=True):
            for axes, picture, stem in zip(row, strip.pictures, image_ids, strict=True):
                axes.set(xticks=[], yticks=[])
                axes.grid(visible=False)
                if picture is None:
                    axes.text(0.5, 0.5, "not kept", ha="center", va="center", transform=axes.transAxes)
                else:
                    axes.imshow(picture, interpolation="nearest" if strip.name != "image" else "antialiased")
                if strip is strips[0]:
                    axes.set_title(stem)
            row[0].set_ylabel(textwrap.fill(strip.name, NAME_SIGNS))
        figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        _class_legend(figure, context.dataset, with_void=any(strip.name == "truth" for strip in strips))
        what = "Predictions on test" if strips[0].name != "image" else "Test images, truth and predictions"
        figure.suptitle(context.heading(f"{what}, last iteration, first seed"))

    rows = -(-(context.dataset.num_classes + 1) // LEGEND_COLUMNS)
    legend_in = 0.18 * max(0, rows - 2)  # beyond the two rows of few classes
    return png(draw, 1.3 + legend_in + row_in * len(strips), keep=context.dataset.colors)


def _class_legend(figure: Figure, dataset: datasets.DatasetInfo, *, with_void: bool) -> None:
    named = list(zip(dataset.classes, dataset.colors, strict=True))
    if with_void:
        named.append(("void (not scored)", VOID_COLOR))
    handles = [
        Patch(label=name, facecolor=(red / 255, green / 255, blue / 255), edgecolor="#777777")
        for name, (red, green, blue) in named
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False)
