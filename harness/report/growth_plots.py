"""How time grows with the input and what a larger batch brings. Each function returns the PNG's bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
)

import architectures
from harness.records.measurement import PAPER_SIZE, TIME_BATCH, MeasurementRecord
from harness.report.figures import Palette, png
from harness.report.groups import title
from harness.report.plots import legend_columns, legend_height
from harness.report.readings import median_ms
from harness.report.resources import Series
from harness.report.wording import describe_series, extent


@dataclass(frozen=True, kw_only=True)
class Line:
    """One network's points, by x: pixels or batch against milliseconds."""

    network: str
    points: tuple[tuple[float, float], ...]


def size_lines(series: Series) -> list[Line]:
    """Forward time (ms) at batch 1 against the input's pixels, of networks measured at two sizes or more."""
    lines = []
    for name in series.networks:
        points = []
        for record in series.of(name):
            height, width = record.spec.size
            if (found := median_ms(record, "forward", TIME_BATCH).value) is not None:
                points.append((float(height * width), found))
        lines.append(Line(network=title(name), points=tuple(points)))
    return [line for line in lines if len(line.points) > 1]


def batch_lines(series: Series, size: tuple[int, int]) -> list[Line]:
    """Forward time an image (ms) against the batch, of networks measured at two batches or more."""
    found = [record for record in series.records if record.spec.size == size]
    lines = [Line(network=title(one.spec.architecture), points=_batch_points(one)) for one in found]
    return [line for line in lines if len(line.points) > 1]


def _batch_points(record: MeasurementRecord) -> tuple[tuple[float, float], ...]:
    batches = sorted(cell.key.batch_size for cell in record.cells if cell.key.phase == "forward")
    times = [(batch, median_ms(record, "forward", batch).value) for batch in batches]
    return tuple((float(batch), time / batch) for batch, time in times if time is not None)


def batch_size(series: Series) -> tuple[int, int] | None:
    """The input that the plot against the batch is of: the paper's, else the largest that has lines."""
    for size in [PAPER_SIZE, *reversed(series.sizes)]:
        if batch_lines(series, size):
            return size
    return None


def size_growth(series: Series, palette: Palette) -> bytes | None:
    """Forward time against the input's pixels, both logarithmic; none with fewer than two points a line."""
    lines = size_lines(series)
    if not lines:
        return None
    shown = {pixels for line in lines for pixels, _ in line.points}
    ticks: dict[float, list[str]] = {}
    for size in series.sizes:
        ticks.setdefault(float(size[0] * size[1]), []).append(extent(size))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_proportion(axes, lines)
        _draw(axes, lines, palette)
        axes.set(xscale="log", yscale="log")
        axes.set(
            xlabel="input, height x width (by pixels, logarithmic)",
            ylabel="forward pass, batch 1 (ms, logarithmic)",
        )
        places = sorted(shown)
        axes.xaxis.set_major_locator(FixedLocator(places))
        axes.xaxis.set_major_formatter(FixedFormatter([" = ".join(ticks[place]) for place in places]))
        axes.xaxis.set_minor_locator(NullLocator())
        _milliseconds(axes)
        _legend(figure, palette, lines)
        what = "How the time of a forward pass grows with the input; dotted: in proportion to its pixels"
        sizes = [size for size in series.sizes if size[0] * size[1] in shown and size != PAPER_SIZE]
        reduced = f"REDUCED inputs: {', '.join(extent(size) for size in sizes)}" if sizes else ""
        _head(figure, series, [what, describe_series(series), reduced, _rebuilt(series, lines)], lines)

    return png(draw, 4.5 + legend_height([line.network for line in lines]))


def batch_growth(series: Series, palette: Palette) -> bytes | None:
    """Forward time an image against the batch; none with fewer than two points a line."""
    size = batch_size(series)
    if size is None:
        return None
    lines = batch_lines(series, size)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw(axes, lines, palette)
        highest = max(time for line in lines for _, time in line.points)
        axes.set(xscale="log", xlabel="batch (logarithmic)", ylabel="forward pass (ms an image)")
        axes.set_ylim(0, 1.1 * highest)
        batches = sorted({batch for line in lines for batch, _ in line.points})
        axes.xaxis.set_major_locator(FixedLocator(batches))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{batch:g}" for batch in batches]))
        axes.xaxis.set_minor_locator(NullLocator())
        _legend(figure, palette, lines)
        what = "Time of a forward pass an image, by the batch that it is part of"
        reduced = f"REDUCED: input {extent(size)} instead of {extent(PAPER_SIZE)}" if size != PAPER_SIZE else ""
        _head(figure, series, [what, f"{describe_series(series)}, input {extent(size)}", reduced], lines)

    return png(draw, 4.2 + legend_height([line.network for line in lines]))


def _draw(axes: Axes, lines: Sequence[Line], palette: Palette) -> None:
    for line in lines:
        axes.plot(
            *zip(*line.points, strict=True),
            color=palette.colors[line.network],
            marker=palette.markers[line.network],
            ms=6,
            lw=1.4,
        )


def _draw_proportion(axes: Axes, lines: Sequence[Line]) -> None:
    """A guide of slope 1 through the first point of the first network."""
    x, y = lines[0].points[0]
    ends = [pixels for line in lines for pixels, _ in line.points]
    axes.plot(_ends(ends), [y * end / x for end in _ends(ends)], color="#999999", ls=":", lw=1.2, zorder=1)


def _rebuilt(series: Series, lines: Sequence[Line]) -> str:
    """Networks that are another network at each size; one from elsewhere is not known to be."""
    shown = {line.network for line in lines}
    fixed = {info.title for info in map(architectures.info, architectures.names()) if info.fixed_size}
    names = [text for name in series.networks if (text := title(name)) in fixed & shown]
    return f"built anew for each size, with other parameters: {', '.join(names)}" if names else ""


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Smallest and largest."""
    return min(values), max(values)


def _milliseconds(axes: Axes) -> None:
    """Plain numbers at 1, 2 and 5 times each power of ten."""
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, palette: Palette, lines: Sequence[Line]) -> None:
    names = [line.network for line in lines]
    handles = [Line2D([], [], label=name, color=palette.colors[name], marker=palette.markers[name]) for name in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(names), frameon=False)


def _head(figure: Figure, series: Series, words: Sequence[str], lines: Sequence[Line]) -> None:
    shown = {line.network for line in lines}
    lacking = [text for name in series.networks if (text := title(name)) not in shown]
    missing = f"one point only: {', '.join(lacking)}" if lacking else ""
    figure.suptitle("\n".join(line for line in (*words, missing) if line))
