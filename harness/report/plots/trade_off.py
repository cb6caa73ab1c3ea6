"""What accuracy costs: mIoU on test against memory, latency, energy and parameters, the paper's points beside."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness import paper
from harness.records.measurement import MeasurementRecord
from harness.records.run import BEST
from harness.report.accuracy import PAPER_BEST, Scores
from harness.report.costs import BY_NAME, Cost
from harness.report.grouping import input_size
from harness.report.plots.base import Drawing, GroupData, NoPlot, Plot, PlotContext, bars_words, caption, drawing
from harness.report.plots.style import GRAY, Mark, key, label_points, new_figure, plain_axis, sign, size_text, styled
from harness.report.resources import MeasurementGroup
from harness.report.store import Run, title

# What accuracy is plotted against; the headers are of the axis. Parameters are the runs' own, in millions.
COSTS: Mapping[str, Cost] = {
    "memory": replace(
        BY_NAME["inference_live_mib"], header="inference memory, batch 1: live tensors' peak, analytic (MiB)"
    ),
    "time": replace(BY_NAME["forward_ms"], header="latency of a forward pass, batch 1 (ms)"),
    "energy": replace(BY_NAME["energy_j"], header="energy above idle of a forward pass, batch 1 (J)"),
    "parameters": replace(BY_NAME["parameters"], header="parameters (millions)", paper="model_size_mb"),
}
_DEVICE_MEMORY = replace(
    BY_NAME["inference_allocated_mib"],
    header="inference memory, batch 1: allocator's peak (MiB)",
    paper=COSTS["memory"].paper,
)


MANY = 10  # points, from which on a plot is higher


def cost_of(quantity: str, measured: MeasurementGroup | None) -> Cost:
    """What a name of `COSTS` is read from: memory by the device's allocator, where it has one."""
    records = measured.records if measured and quantity == "memory" else ()
    if any(_DEVICE_MEMORY.read(record).value is not None for record in records):
        return _DEVICE_MEMORY
    return COSTS[quantity]


def _value(cost: Cost, runs: Sequence[Run], measured: MeasurementRecord | None) -> float | None:
    """Of a network's runs and measurement."""
    if cost.name != "parameters":
        return cost.read(measured).value if measured else None
    return next((1e-6 * run.record.parameters for run in runs if run.record.parameters), None)


def trade_off_frame(context: PlotContext, measured: MeasurementGroup | None, quantity: str) -> pd.DataFrame:
    """A row a point: source ("here" or "paper"), network, cost, mIoU in percent, low and high of its bar.

    Args:
        context: the group's.
        measured: of one device; none where nothing was measured.
        quantity: a name of `COSTS`.
    """
    group, cost, rows = context.group, cost_of(quantity, measured), []
    for name in group.networks:
        found = Scores.of(group.of(name), "test", group.shown_label)
        value = _value(cost, group.of(name), measured.of(name) if measured else None)
        if found is None or value is None:
            continue
        miou = found.mean["mIoU"]
        low, high = found.interval.get("mIoU", (miou, miou))
        rows.append(("here", title(name), value, miou, low, high))
    if rows and cost.paper and context.with_paper:
        bytes_each = 4 if quantity == "parameters" else 1  # of which the model's size is made
        checkpoint = PAPER_BEST if group.shown_label == BEST else group.shown_label
        scores = {row.network: row.scores["mIoU"] for row in paper.accuracies() if row.checkpoint == checkpoint}
        for published in paper.resources():
            if published.network in scores:
                miou = scores[published.network]
                theirs = getattr(published, cost.paper) / bytes_each
                rows.append(("paper", published.network, theirs, miou, miou, miou))
    return pd.DataFrame(rows, columns=["source", "network", "cost", "miou", "low", "high"])


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that no other beats: none costs no more and scores no less without being its equal.

    Args:
        points: (cost, score) of each; less cost and more score are better.

    Returns:
        Their places in `points`, by cost; equal points all stand on the front.
    """

    def beaten(cost: float, score: float) -> bool:
        return any(other <= cost and better >= score and (other, better) != (cost, score) for other, better in points)

    front = [place for place, point in enumerate(points) if not beaten(*point)]
    return sorted(front, key=lambda place: (points[place], place))


def trade_off_figure(
    context: PlotContext,
    measured: MeasurementGroup | None,
    quantity: str,
    frame: pd.DataFrame,
    signs: Mapping[str, str] = MappingProxyType({}),
) -> Figure:
    """mIoU against a cost: filled here with bars, hollow the paper's, gray steps the Pareto front of ours.

    signs: what the frame's column `sign` has behind a network's name, and what it says of its initial weights.
    """
    counted = cost_of(quantity, measured) in (COSTS["memory"], COSTS["parameters"])  # the same on every device
    device = "" if counted or measured is None else f", {measured.first.device_name}"
    name = {"time": "latency"}.get(quantity, quantity)
    with styled():
        figure = new_figure(4.5 if len(frame) < MANY else 5.6, context.heading(f"Accuracy against {name}") + device)
        axes = figure.subplots()
        plain_axis(axes.xaxis, list(frame["cost"]))
        marks = [_draw_point(axes, context, row) for row in frame.to_dict("records")]
        axes.margins(0.08)
        ours = frame[frame["source"].eq("here")]
        entries, levels = [sign("here", marker="o")], []
        if len(ours) > 1:
            levels = _draw_front(axes, list(zip(ours["cost"], ours["miou"], strict=True)))
            entries.append(sign("Pareto front of these", color=GRAY, linestyle="-"))
        if len(ours) < len(frame):
            entries.insert(1, sign("the paper's own", marker="o", mfc="white"))
        entries += [sign(text, marker=f"${mark}$") for mark, text in signs.items()]
        axes.set(xlabel=cost_of(quantity, measured).header, ylabel="mIoU on test (%)")
        key(figure, entries, columns=3 if signs else 6)
        label_points(axes, marks, levels)
    return figure


def _draw_point(axes: Axes, context: PlotContext, row: Mapping[Hashable, Any]) -> Mark:
    network, paper_point = str(row["network"]), row["source"] == "paper"
    cost, miou, low, high = (float(row[name]) for name in ("cost", "miou", "low", "high"))
    look = context.palette.look(network)
    filling = "white" if paper_point else look["color"]
    bar = None if paper_point else [[miou - low], [high - miou]]
    label = f"{network}, {row['source']}"
    axes.errorbar(cost, miou, yerr=bar, mfc=filling, capsize=3, lw=1.2, label=label, **look)
    text = f"{network} (paper)" if paper_point else f"{network}{row.get('sign', '')}"
    return Mark(x=cost, y=miou, low=low, high=high, text=text, color=look["color"])


def _draw_front(axes: Axes, points: Sequence[tuple[float, float]]) -> list[tuple[float, float, float]]:
    """Steps through the networks of the front, on to the right where more cost brings no more accuracy."""
    front = [points[place] for place in pareto_front(points)]
    limits = axes.get_xlim()
    costs, scores = [*(cost for cost, _ in front), limits[1]], [score for _, score in front]
    axes.step(costs, [*scores, scores[-1]], where="post", color=GRAY, lw=1.2, zorder=1, label="front")
    axes.set_xlim(limits)
    return list(zip(costs[:-1], costs[1:], scores, strict=True))


def missing_reasons(context: PlotContext, measured: MeasurementGroup | None, quantity: str) -> list[str]:
    """Why no network of the group has the cost; empty where it was measured."""
    cost, records = cost_of(quantity, measured), measured.records if measured else ()
    found = [one for one in records if one.spec.architecture in context.group.networks]
    if quantity == "parameters":  # of the runs, which count them
        return ["not counted"] if found else []
    return sorted({reason for one in found if (reason := cost.read(one).reason)})


def trade_offs(data: GroupData) -> list[Drawing | NoPlot]:
    """A plot for each of `COSTS`, or why there is none.

    What the measurements beside the scores lack, such as a CPU's of energy, is from the next that have it.
    """
    group = data.group
    size = input_size(group.protocol, data.dataset)
    made: list[Drawing | NoPlot] = []
    for quantity in COSTS:
        name = f"{quantity.capitalize()} versus accuracy"
        sources = (*data.costs_by_fit, *([None] if quantity == "parameters" else []))  # the runs count them
        frames = ((one, trade_off_frame(data, one, quantity)) for one in sources)
        measured, frame = next((found for found in frames if not found[1].empty), (None, None))
        if frame is None:
            reasons = missing_reasons(data, next(iter(data.costs_by_fit), None), quantity)
            reason = caption("trade-off-missing", reasons=reasons)
            made.append(NoPlot(title=name, reason=reason))
            continue
        figure = trade_off_figure(data, measured, quantity, frame)
        shown = set(frame[frame["source"].eq("here")]["network"])
        values = {
            "group": group,
            "quantity": quantity,
            "bars": bars_words([len(group.of(network)) for network in group.networks]),
            "first": measured.first if measured else None,
            "sizes": (size_text(size), size_text(measured.size if measured else size)),
            "missing": [title(network) for network in group.networks if title(network) not in shown],
            "paper": frame["source"].eq("paper").any(),
        }
        made.append(drawing(figure, name, f"{quantity}-accuracy", "trade-off", values))
    return made


PLOT = Plot(subject="group", place=1, draw=trade_offs)
