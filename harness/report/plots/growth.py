"""How time grows with the input, and what a larger batch brings."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

import architectures
from harness.records.measurement import PAPER_SIZE, TIME_BATCH
from harness.report.measurement_frame import fact
from harness.report.plots.base import Drawing, Plot, drawing
from harness.report.plots.style import GRAY, Palette, key, label_ends, new_figure, plain_axis, sign, size_text, styled
from harness.report.resources import Series
from harness.report.store import title


def growth_frame(series: Series) -> pd.DataFrame:
    """A row a timed forward pass: network, size, pixels, batch, ms of an image."""
    rows = []
    for record in series.records:
        size, network = record.spec.size, title(record.spec.architecture)
        for batch in sorted(cell.key.batch_size for cell in record.cells if cell.key.phase == "forward"):
            if (found := fact(record, "forward", batch, "latency_ms", "median").value) is not None:
                rows.append((network, size, float(size[0] * size[1]), batch, found / batch))
    return pd.DataFrame(rows, columns=["network", "size", "pixels", "batch", "ms"])


def size_points(series: Series) -> pd.DataFrame:
    """Those at batch 1 of the networks that were timed at two sizes or more, by size."""
    frame = growth_frame(series)
    return _lines(frame[frame["batch"].eq(TIME_BATCH)].sort_values("pixels", kind="stable"))


def batch_points(series: Series) -> pd.DataFrame:
    """Those of networks timed at two batches or more, at the paper's size, else the largest that has any."""
    frame = growth_frame(series)
    for size in [PAPER_SIZE, *reversed(series.sizes)]:
        if not (found := _lines(frame.loc[[one == size for one in frame["size"]]])).empty:
            return found
    return frame.iloc[:0]


def _lines(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the networks with more than one."""
    return frame[frame.groupby("network")["network"].transform("size") > 1]


def size_figure(points: pd.DataFrame, palette: Palette, device: str) -> Figure:
    """Forward time against the input's pixels, both logarithmic, with what is in proportion to them."""
    ticks: dict[float, str] = {}
    for size, pixels in zip(points["size"], points["pixels"], strict=True):
        ticks[pixels] = size_text(size)
    first = points[points["network"].eq(points["network"].iloc[0])].iloc[0]
    with styled():
        figure = new_figure(4.4, f"Time of a forward pass by input size: {device}")
        axes = figure.subplots()
        guide = [first["ms"] * pixels / first["pixels"] for pixels in ticks]
        axes.plot(list(ticks), guide, color=GRAY, ls=":", lw=1.2, zorder=1, label="guide")
        axes.set(xlabel="input, height × width (pixels, logarithmic)", ylabel="forward pass, batch 1 (ms)")
        key(figure, [sign(f"in proportion to pixels, from {first['network']}", color=GRAY, linestyle=":")])
        _draw(figure, points, "pixels", palette, ticks)
    return figure


def batch_figure(points: pd.DataFrame, palette: Palette, device: str) -> Figure:
    """Forward time an image against the batch."""
    size = size_text(points["size"].iloc[0])
    with styled():
        figure = new_figure(4.0, f"Time of a forward pass an image by batch, input {size}: {device}")
        axes = figure.subplots()
        axes.set(xlabel="batch (images, logarithmic)", ylabel="forward pass (ms an image)")
        _draw(figure, points, "batch", palette, {batch: f"{batch:g}" for batch in sorted(points["batch"].unique())})
    return figure


def _draw(figure: Figure, points: pd.DataFrame, x: str, palette: Palette, ticks: dict[float, str]) -> None:
    """A line a network, named at its end."""
    (axes,) = figure.axes
    for network, own in points.groupby("network", sort=False):
        axes.plot(own[x], own["ms"], label=str(network), **palette.look(str(network)))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FixedFormatter(list(ticks.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    plain_axis(axes.yaxis, list(points["ms"]))
    ends = points.drop_duplicates("network", keep="last")
    label_ends(axes, [(name, ms, palette.colors[name]) for name, ms in zip(ends["network"], ends["ms"], strict=True)])


def _drawing(figure: Figure, kind: str, series: Series, points: pd.DataFrame) -> Drawing:
    shown, sizes = set(points["network"]), dict.fromkeys(points["size"])
    fixed = {info.title for info in map(architectures.info, architectures.names()) if info.fixed_size}
    values = {
        "first": series.first,
        "reduced": [size_text(size) for size in sizes if size != PAPER_SIZE],
        "rebuilt": sorted(shown & fixed) if len(sizes) > 1 else [],
        "missing": [text for name in series.networks if (text := title(name)) not in shown],
        "kind": kind,
    }
    name = "Time against input size" if kind == "size" else "Time against batch"
    return drawing(figure, name, f"growth-{kind}-{series.slug}", "growth", values)


def growth(series: Series, palette: Palette) -> Sequence[Drawing]:
    """Time against input size and against the batch, each where a line has two points."""
    both = (("size", size_points(series), size_figure), ("batch", batch_points(series), batch_figure))
    return [
        _drawing(draw(points, palette, series.first.device_name), kind, series, points)
        for kind, points, draw in both
        if not points.empty
    ]


PLOT = Plot(subject="series", place=1, draw=growth)
