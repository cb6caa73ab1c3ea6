"""The look that all plots share: sizes, fonts, a color and marker for each network, labels beside what they name."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from harness.config.suite import Suite
from harness.report.looks import look
from harness.report.store import title

WIDTH_IN, DPI = 8.2, 110  # 902 pixels: a code host shows it in full size
SMALL = 9.0  # points; no text is smaller
GRAY, DARK = "#8a8a8a", "#333333"
_SETTINGS: Mapping[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so that it is the same everywhere
    "font.size": SMALL,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "axes.edgecolor": "#bbbbbb",
    "axes.grid": True,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.titlesize": 10.5,
    "figure.titleweight": "bold",
    "grid.color": "#e4e4e4",
    "lines.linewidth": 1.5,
    "lines.markersize": 6.5,
    "xtick.color": DARK,
    "ytick.color": DARK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
}
_LEADER: Mapping[str, Any] = {"arrowstyle": "-", "color": "#aaaaaa", "lw": 0.7, "shrinkA": 0}


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Color and marker of every network, by its title in tables and plots."""

    colors: Mapping[str, str]
    markers: Mapping[str, str]

    def look(self, name: str) -> dict[str, Any]:
        """Color and marker as matplotlib's functions take them; gray for a network of another suite."""
        return {"color": self.colors.get(name, GRAY), "marker": self.markers.get(name, "o")}


def palette(suite: Suite, networks: Sequence[str]) -> Palette:
    """The colors and markers of a suite's architectures and of further networks."""
    looks = {title(name): look(name) for name in [*suite.architectures, *networks]}
    return Palette(
        colors={name: color for name, (color, _) in looks.items()},
        markers={name: marker for name, (_, marker) in looks.items()},
    )


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults and this look, whatever the user has set; as before afterwards."""
    settings: Any = {**dict(matplotlib.rcParamsDefault.items()), **_SETTINGS}
    del settings["backend"]
    with matplotlib.rc_context(settings):
        yield


def new_figure(height_in: float, heading: str) -> Figure:
    """An empty figure of a README's width, with a title of one line."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(heading, x=0.008, ha="left")
    return figure


def key(figure: Figure, handles: Sequence[Any], columns: int = 6) -> None:
    """The one legend of a figure, under it, so that it hides no data."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.5, columnspacing=1.4)


def sign(label: str, **look: Any) -> Line2D:
    """An entry of a legend."""
    return Line2D([], [], label=label, **{"color": DARK, "linestyle": "none", **look})


def size_text(size: tuple[int, int]) -> str:
    """`360 × 480`, height first."""
    return f"{size[0]} × {size[1]}"


def plain_axis(axis: Axis, values: Sequence[float]) -> None:
    """Plain numbers at round places of an axis, logarithmic where the values span more than a factor of 4."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low <= 0 or high < 4 * low:
        axis.set_major_locator(MaxNLocator(nbins=7))
        return
    steps = (1.0, 2.0, 5.0) if high < 500 * low else (1.0,)
    axes, is_x = axis.axes, isinstance(axis, XAxis)
    (axes.set_xscale if is_x else axes.set_yscale)("log")
    (axes.set_xlim if is_x else axes.set_ylim)(low / 1.25, high * 1.25)
    axis.set_major_locator(LogLocator(base=10, subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _text_color(color: str) -> tuple[float, float, float]:
    """A shade dark enough to be read on white."""
    red, green, blue = to_rgb(color)
    factor = min(0.85, 0.42 / (0.3 * red + 0.59 * green + 0.11 * blue))
    return factor * red, factor * green, factor * blue


def _lay_out(axes: Axes) -> Figure:
    """Put the axes of the figure in their places, as drawing it would; gives the figure."""
    figure = cast(Figure, axes.get_figure(root=True))
    cast(LayoutEngine, figure.get_layout_engine()).execute(figure)
    return figure


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point in the data's coordinates with the ends of its bar, and the text beside it; none: no text."""

    x: float
    y: float
    low: float
    high: float
    text: str = ""
    color: str = DARK


def label_points(axes: Axes, marks: Sequence[Mark], levels: Sequence[tuple[float, float, float]] = ()) -> None:
    """Write each text beside its point, where it covers no other text, point or bar. It fixes the layout: call it last.

    Args:
        axes: whose scales are set.
        marks: all points, those without a text too.
        levels: horizontal lines to keep clear of, each from x to x at y.
    """
    figure = _lay_out(axes)
    figure.set_layout_engine("none")
    reach = 5 * DPI / 72
    bars = [((mark.x, mark.low), (mark.x, mark.high), reach) for mark in marks]
    lines = [((left, y), (right, y), 1.0) for left, right, y in levels]
    taken = [Bbox(axes.transData.transform([start, end])).padded(pad) for start, end, pad in bars + lines]
    for mark in marks:
        if not mark.text:
            continue
        text = axes.annotate(
            mark.text,
            *((mark.x, mark.y), (0, 0)),
            textcoords="offset pixels",
            color=_text_color(mark.color),
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.0, foreground="white")],
            arrowprops={**_LEADER, "shrinkB": 5},
        )
        extent = Text.get_window_extent(text, cast(Any, figure.canvas).get_renderer())
        offset, box = _free_place(axes.transData.transform((mark.x, mark.y)), extent, axes.bbox, taken)
        taken.append(box)
        text.set_position(offset)
        near = abs(offset[0]) < extent.width / 2 + 3 * reach and abs(offset[1]) < extent.height / 2 + 3 * reach
        cast(FancyArrowPatch, text.arrow_patch).set_visible(not near)


def _free_place(
    point: NDArray[np.float64], extent: Bbox, frame: Bbox, taken: Sequence[Bbox]
) -> tuple[tuple[float, float], Bbox]:
    """The nearest offset of a text's center from its point that is free, in pixels, and its box there."""
    width, height = extent.width + 2, extent.height
    places = []
    for distance in range(8, 120, 6):
        right, up = width / 2 + distance, height / 2 + distance
        slant = width / 2 + distance / 2
        around = [(right, 0.0), (-right, 0.0), (0.0, up), (0.0, -up)]
        around += [(slant, up), (slant, -up), (-slant, up), (-slant, -up)]
        for dx, dy in around:
            left, bottom = point[0] + dx - width / 2, point[1] + dy - height / 2
            places.append(((dx, dy), Bbox.from_bounds(left, bottom, width, height)))
    for offset, box in places:
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        if inside and not any(box.overlaps(other) for other in taken):
            return offset, box
    return places[0]


def label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write names to the right of the axes, at the heights at which their lines end, moved apart where need be.

    Args:
        axes: whose scales are set.
        ends: text, height in the data's coordinates, color.
    """
    texts = [
        axes.annotate(
            text,
            xy=(1, y),
            xycoords=("axes fraction", "data"),
            xytext=(14, 0),
            textcoords="offset points",
            color=_text_color(color),
            va="center",
            annotation_clip=False,
            arrowprops={**_LEADER, "shrinkB": 0, "relpos": (0, 0.5)},
        )
        for text, y, color in ends
    ]
    _lay_out(axes)
    left = axes.get_xlim()[1]
    heights = [float(axes.transData.transform((left, y))[1]) * 72 / DPI for _, y, _ in ends]
    for text, height, moved in zip(texts, heights, spread_apart(heights, 1.3 * SMALL), strict=True):
        text.set_position((14, moved - height))


def spread_apart(places: Sequence[float], step: float) -> list[float]:
    """Places that are at least a step apart, in the same order and as near to the given ones as may be."""
    order, steps = np.argsort(places, kind="stable"), step * np.arange(len(places))
    result = np.empty(len(places))
    # less the steps before each they need only not fall
    result[order] = isotonic_regression(np.asarray(places)[order] - steps).x + steps
    return result.tolist()
