"""What accuracy costs: a score against memory, time or energy. Returns the PNG's bytes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.records.measurement import TIME_BATCH, MeasurementRecord
from harness.report.accuracy import summarize
from harness.report.figures import png
from harness.report.groups import Group, input_size, title
from harness.report.pareto import pareto_front
from harness.report.plots import PlotContext, bars_words, legend, legend_height
from harness.report.readings import energy_per_image_mj, live_mib, median_ms, memory_mib
from harness.report.resources import MeasurementGroup
from harness.report.wording import describe, extent
from harness.system.quantities import Quantity

_FRONT_COLOR = "#999999"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What accuracy is plotted against. label: of the axis."""

    label: str
    read: Callable[[MeasurementRecord], Quantity]


COSTS: Mapping[str, Cost] = {
    "memory": Cost(
        label="inference memory, live tensors' peak, batch 1 (MiB)",
        read=lambda record: live_mib(record, "inference"),
    ),
    "time": Cost(label="forward pass, batch 1 (ms)", read=lambda record: median_ms(record, "forward", TIME_BATCH)),
    "energy": Cost(
        label="energy above idle of a forward pass, batch 1 (mJ an image)",
        read=lambda record: energy_per_image_mj(record, "forward", TIME_BATCH),
    ),
}
_DEVICE_MEMORY = Cost(
    label="inference memory, allocator's peak, batch 1 (MiB)",
    read=lambda record: memory_mib(record, "inference", "allocated_peak_bytes"),
)


def cost_of(quantity: str, measured: MeasurementGroup) -> Cost:
    """What a name of `COSTS` is read from: memory by the device's allocator, where it has one."""
    if quantity == "memory" and any(_DEVICE_MEMORY.read(one).value is not None for one in measured.records):
        return _DEVICE_MEMORY
    return COSTS[quantity]


@dataclass(frozen=True, kw_only=True)
class _Point:
    """A network's cost and mIoU on test in percent, with the ends of its bar."""

    network: str
    cost: float
    miou: float
    low: float
    high: float


def trade_off(context: PlotContext, measured: MeasurementGroup, quantity: str) -> bytes | None:
    """mIoU on test against a cost, with the Pareto front; none where no network has both.

    Args:
        context: the group's.
        measured: of one device; its size and preset stand in the title.
        quantity: a name of `COSTS`.
    """
    cost = cost_of(quantity, measured)
    points = [point for name in context.group.networks if (point := _point(context.group, measured, name, cost))]
    if not points:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set_xlim(0, 1.1 * max(point.cost for point in points) or 1.0)
        _draw_front(axes, points)
        _draw_points(axes, context, points)
        axes.set(xlabel=cost.label, ylabel="mIoU on test (%)")
        names = [point.network for point in points]
        legend(figure, context, names, lines=False)
        figure.suptitle(context.heading(_heading(context, measured, quantity, names)))

    return png(draw, 4.5 + legend_height([point.network for point in points]))


def missing_reasons(context: PlotContext, measured: MeasurementGroup, quantity: str) -> list[str]:
    """Why no network of the group has the cost; empty where it was measured."""
    found = [measured.of(name) for name in context.group.networks]
    cost = cost_of(quantity, measured)
    quantities = [cost.read(record) for record in found if record]
    return sorted({one.reason for one in quantities if one.reason})


def _point(group: Group, measured: MeasurementGroup, name: str, cost: Cost) -> _Point | None:
    summary, record = summarize(group.of(name), "test", group.shown_label), measured.of(name)
    if summary is None or record is None:
        return None
    x = cost.read(record).value
    if x is None:
        return None
    y = summary.mean["mIoU"]
    half = summary.std.get("mIoU", 0.0)
    low, high = summary.interval.get("mIoU", (y - half, y + half))
    return _Point(network=title(name), cost=x, miou=y, low=low, high=high)


def _draw_front(axes: Axes, points: Sequence[_Point]) -> None:
    """Steps through the networks of the front, on to the right where more cost brings no more accuracy."""
    if len(points) < 2:
        return
    front = [points[place] for place in pareto_front([(point.cost, point.miou) for point in points])]
    costs = [*(point.cost for point in front), axes.get_xlim()[1]]
    scores = [*(point.miou for point in front), front[-1].miou]
    axes.step(costs, scores, where="post", color=_FRONT_COLOR, lw=1.4, zorder=1)


def _draw_points(axes: Axes, context: PlotContext, points: Sequence[_Point]) -> None:
    for point in points:
        axes.errorbar(
            point.cost,
            point.miou,
            yerr=[[point.miou - point.low], [point.high - point.miou]],
            color=context.palette.colors[point.network],
            capsize=3,
            lw=1.2,
            zorder=2,
        )
    frame = pd.DataFrame(
        {
            "network": [point.network for point in points],
            "x": [point.cost for point in points],
            "y": [point.miou for point in points],
        }
    )
    sns.scatterplot(
        frame,
        x="x",
        y="y",
        hue="network",
        style="network",
        palette=dict(context.palette.colors),
        markers=dict(context.palette.markers),
        s=70,
        ax=axes,
        legend=False,
        zorder=3,
    )


def _heading(context: PlotContext, measured: MeasurementGroup, quantity: str, shown: Sequence[str]) -> str:
    size = input_size(context.group.protocol, context.dataset)
    bars = bars_words([len(context.group.of(name)) for name in context.group.networks])
    checkpoint = context.group.shown_checkpoint
    heading = f"{quantity.capitalize()} versus accuracy, checkpoint {checkpoint} (bars: {bars})"
    if len(shown) > 1:
        heading += "\ngrey steps: the Pareto front; no other network is no worse in both and better in one"
    heading += f"\n{quantity} on {describe(measured)}"
    trained, precision = context.group.precision, measured.first.spec.precision
    if measured.size != size:
        heading += f"\nmind: accuracy is that of input {extent(size)}, {quantity} that of {extent(measured.size)}"
    if precision != trained:
        heading += f"\nmind: accuracy is that of training and scoring in {trained}, {quantity} that of {precision}"
    missing = [text for name in context.group.networks if (text := title(name)) not in shown]
    return f"{heading}\nnot measured: {', '.join(missing)}" if missing else heading
