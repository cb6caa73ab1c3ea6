"""Storage versus accuracy of the decoder variants of Table 1. Returns the PNG's bytes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from matplotlib.transforms import Bbox, ScaledTranslation, Transform

from datasets import DatasetInfo
from harness.report.families import Family
from harness.report.figures import Palette, png
from harness.report.groups import input_size
from harness.report.plots import bars_words, figure_heading
from harness.report.resources import MeasurementGroup
from harness.report.wording import BALANCINGS, describe, extent

PAPER_COLOR = "#777777"
# Points of equal storage stand so far apart, in points of 1/72 inch; so does the paper's from ours.
_APART = 11.0
_FONT = 7.5
# Of DejaVu Sans: mean width and height of a sign, as parts of the font size; enough to keep labels apart.
_SIGN_WIDTH, _SIGN_HEIGHT = 0.6, 1.25


@dataclass(frozen=True, kw_only=True)
class StorageContext:
    """What the plots of a family share. frame: from `table1.table1`; measured: what its storage is from."""

    family: Family
    dataset: DatasetInfo
    palette: Palette
    frame: pd.DataFrame
    measured: MeasurementGroup


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A variant in one panel. dodge: points of 1/72 inch to the right of its place. low, high: interval."""

    variant: str
    x: float
    dodge: float
    ours: float
    low: float
    high: float
    paper: float


def storage_plot(context: StorageContext, metric: str) -> bytes | None:
    """A score on test against the bytes kept for the decoder, a panel a weighting; none without a point.

    Args:
        context: the family's.
        metric: "mIoU" or "BF".
    """
    panels = [(name, _points(context.frame, name, metric)) for name in context.family.class_weightings]
    panels = [(name, points) for name, points in panels if points]
    if not panels:
        return None

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
        for axes, (class_weighting, points) in zip(grid, panels, strict=True):
            _draw_points(axes, context.palette, points)
            lacking = _lacking(context.frame, points)
            axes.set_title(f"{class_weighting}: {BALANCINGS[class_weighting]}{lacking}", loc="left")
            axes.set_ylabel(f"{metric} on test (%)")
        _scale(grid[-1], [points for _, points in panels])
        _legend(figure, context)
        figure.suptitle(_heading(context, metric))
        figure.draw_without_rendering()  # labels are placed where the layout leaves the axes
        figure.set_layout_engine("none")
        for axes, (_, points) in zip(grid, panels, strict=True):
            _label(axes, points)

    return png(draw, 1.5 + 2.7 * len(panels))


def _points(frame: pd.DataFrame, class_weighting: str, metric: str) -> list[_Point]:
    """The variants with a score and a storage; those of equal storage side by side."""
    rows = frame[frame["class_weighting"].eq(class_weighting) & frame["split"].eq("test")]
    rows = rows[rows[f"{metric}_ours"].notna() & rows["storage_bytes"].notna()]
    points = []
    for x, level in rows.groupby("storage_bytes", sort=True):
        for place, row in enumerate(level.to_dict("records")):
            ours, std = row[f"{metric}_ours"], row[f"{metric}_std"]
            low, high = row[f"{metric}_low"], row[f"{metric}_high"]
            if pd.isna(low):
                low, high = (ours, ours) if pd.isna(std) else (ours - std, ours + std)
            points.append(
                _Point(
                    variant=row["variant"],
                    x=float(str(x)),
                    dodge=2 * _APART * (place - (len(level) - 1) / 2),
                    ours=ours,
                    low=low,
                    high=high,
                    paper=row[f"{metric}_paper"],
                )
            )
    return points


def _lacking(frame: pd.DataFrame, points: Sequence[_Point]) -> str:
    """The variants without a point, or how many where they are more than a line holds."""
    found = [point.variant for point in points]
    names = [name for name in dict.fromkeys(frame["variant"]) if name not in found]
    if not names:
        return ""
    return f"; not shown: {', '.join(names) if len(names) < 3 else f'{len(names)} networks'}"


def _draw_points(axes: Axes, palette: Palette, points: Sequence[_Point]) -> None:
    for point in points:
        color, marker = palette.colors[point.variant], palette.markers[point.variant]
        spread = [[point.ours - point.low], [point.high - point.ours]]
        axes.errorbar(
            *([point.x], [point.ours], spread),
            color=color,
            marker=marker,
            ms=7,
            lw=1.2,
            capsize=3,
            transform=_moved(axes, point.dodge - _APART / 2),
        )
        if not math.isnan(point.paper):
            axes.plot(
                *([point.x], [point.paper]),
                color=PAPER_COLOR,
                marker=marker,
                ms=6,
                mfc="white",
                linestyle="none",
                transform=_moved(axes, point.dodge + _APART / 2),
            )


def _moved(axes: Axes, right: float) -> Transform:
    """Data coordinates, shifted to the right by so many points of 1/72 inch."""
    return axes.transData + ScaledTranslation(right / 72, 0, _figure(axes).dpi_scale_trans)


def _figure(axes: Axes) -> Figure:
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes made by a figure"
    return figure


def _scale(axes: Axes, panels: Sequence[Sequence[_Point]]) -> None:
    """A logarithmic axis that is linear below half the smallest storage, so that 0 has its place on it."""
    points = [point for panel in panels for point in panel]
    positive = [point.x for point in points if point.x > 0]
    largest, half = max(positive, default=1.0), min(positive, default=1.0) / 2
    axes.set_xscale("symlog", linthresh=half, linscale=0.7)
    axes.set_xlim(-0.45 * half, 1.6 * largest)
    powers = range(math.floor(math.log10(half)), math.ceil(math.log10(largest)) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    shown = [0.0, *(tick for tick in ticks if 1.2 * half < tick < 1.6 * largest)]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FixedFormatter([_bytes(tick) for tick in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("kept for the decoder of one image at the first pooled resolution, indices as 2-bit codes")
    low = min(min(point.low, _or(point.paper, point.low)) for point in points)
    high = max(max(point.high, _or(point.paper, point.high)) for point in points)
    room = 0.12 * max(high - low, 1.0)
    axes.set_ylim(low - room, high + room)


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value


def _bytes(value: float) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _label(axes: Axes, points: Sequence[_Point]) -> None:
    """Names beside the points, moved up or down until none covers another or a point; a line leads there."""
    scale = 72 / _figure(axes).dpi
    frame = Bbox(axes.bbox.get_points() * scale)
    placed = [box for point in points for box in _marks(axes, point, scale)]
    for point in sorted(points, key=lambda point: (point.x, -point.ours)):
        x, y = axes.transData.transform((point.x, point.ours)) * scale
        reach = 1.5 * _APART + max(other.dodge for other in points if other.x == point.x)
        width, height = len(point.variant) * _FONT * _SIGN_WIDTH, _FONT * _SIGN_HEIGHT
        boxes = []
        for step in range(40):
            up = (step + 1) // 2 * (1 if step % 2 else -1) * height / 2
            for left in (x + reach, x - reach - width):
                boxes.append(Bbox.from_bounds(left, y + up - height / 2, width, height))
        box = next((box for box in boxes if _is_free(box, frame, placed)), boxes[0])
        placed.append(box)
        side = box.x0 if box.x0 > x else box.x1
        middle = (box.y0 + box.y1) / 2
        axes.annotate(
            point.variant,
            xy=(x + point.dodge - _APART / 2, y),
            xytext=(side, middle),
            xycoords="figure points",
            textcoords="figure points",
            ha="left" if box.x0 > x else "right",
            va="center",
            fontsize=_FONT,
            arrowprops={"arrowstyle": "-", "color": "#aaaaaa", "lw": 0.6, "shrinkA": 0, "shrinkB": 4},
        )


def _is_free(box: Bbox, frame: Bbox, placed: Sequence[Bbox]) -> bool:
    inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    return inside and not any(box.overlaps(other) for other in placed)


def _marks(axes: Axes, point: _Point, scale: float) -> list[Bbox]:
    """Where a point's own marks lie: our score with its interval, and the paper's."""
    x, low = axes.transData.transform((point.x, point.low)) * scale
    high = axes.transData.transform((point.x, point.high))[1] * scale
    boxes = [Bbox.from_extents(x + point.dodge - _APART / 2 - 4, low - 4, x + point.dodge, high + 4)]
    if not math.isnan(point.paper):
        y = axes.transData.transform((point.x, point.paper))[1] * scale
        right = x + point.dodge + _APART / 2
        boxes.append(Bbox.from_extents(right - 4, y - 4, right + 4, y + 4))
    return boxes


def _legend(figure: Figure, context: StorageContext) -> None:
    bars = bars_words([count for count in context.frame["seeds"] if count])
    shared: dict[str, Any] = {"marker": "o", "linestyle": "none"}
    handles = [
        Line2D([], [], color="#333333", label=f"here (bars: {bars})", **shared),
        Line2D([], [], color=PAPER_COLOR, mfc="white", label="the paper's score, same marker", **shared),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)


def _heading(context: StorageContext, metric: str) -> str:
    group = context.family.first
    size, other = input_size(group.protocol, context.dataset), context.measured.size
    text = f"Storage versus {metric}, checkpoint {group.shown_checkpoint}"
    text += "\nnetworks that keep the same stand side by side"
    text += f"\nstorage on {describe(context.measured)}"
    if other != size:
        text += f"\nmind: accuracy is that of input {extent(size)}, storage that of {extent(other)}"
    return figure_heading(text, context.dataset, group)
