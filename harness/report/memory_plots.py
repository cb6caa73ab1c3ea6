"""What the networks' memory is made of: live tensors at their peak, part by part. Returns the PNG's bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from harness.records.measurement import INFERENCE_BATCH, TRAINING_BATCH
from harness.report.figures import png
from harness.report.groups import title
from harness.report.inference_memory import LIVE_PARTS
from harness.report.readings import Use, live_mib
from harness.report.resources import MeasurementGroup
from harness.report.wording import describe

# Colors of the parts are none of the networks'.
_COLORS = ("#332288", "#882255", "#aa4499", "#117733", "#88ccee", "#ddcc77", "#cccccc")
_BATCHES: Mapping[Use, int] = {"inference": INFERENCE_BATCH, "training": TRAINING_BATCH}


@dataclass(frozen=True, kw_only=True)
class _Bar:
    """One network's parts in MiB, in the order of `LIVE_PARTS`."""

    network: str
    parts: tuple[float, ...]


def memory_breakdown(group: MeasurementGroup) -> bytes | None:
    """A stacked bar a network, inference on the left and training on the right; none without any."""
    bars = {use: _bars(group, use) for use in _BATCHES}
    names = [bar.network for bar in bars["inference"]]
    if not names:
        return None
    used = [any(bar.parts[place] for found in bars.values() for bar in found) for place in range(len(LIVE_PARTS))]

    def draw(figure: Figure) -> None:
        for axes, (use, found) in zip(figure.subplots(1, 2, sharey=True), bars.items(), strict=True):
            _draw_bars(axes, found)
            axes.set_title(f"{use}, batch {_BATCHES[use]}", loc="left")
            axes.set_xlabel("live tensors at their peak (MiB)")
        handles = [
            Patch(facecolor=color, label=name.replace("_", " "))
            for name, color, shown in zip(LIVE_PARTS, _COLORS, used, strict=True)
            if shown
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
        lacking = [title(one.spec.architecture) for one in group.records if one.shapes is None]
        lines = [
            "What memory is made of at its peak, counted on torch's CPU code path; the scales differ",
            describe(group),
            f"REDUCED: {group.reduced}" if group.reduced else "",
            f"not measured: {', '.join(lacking)}" if lacking else "",
        ]
        figure.suptitle("\n".join(line for line in lines if line))

    return png(draw, 2.2 + 0.34 * len(names))


def _bars(group: MeasurementGroup, use: Use) -> list[_Bar]:
    bars = []
    for record in group.records:
        parts = [live_mib(record, use, part).value for part in LIVE_PARTS]
        known = tuple(value for value in parts if value is not None)
        if len(known) == len(parts):
            bars.append(_Bar(network=title(record.spec.architecture), parts=known))
    return bars


def _draw_bars(axes: Axes, bars: Sequence[_Bar]) -> None:
    names = [bar.network for bar in bars]
    totals = [sum(bar.parts) for bar in bars]
    lefts = [0.0] * len(bars)
    for place, color in enumerate(_COLORS):
        widths = [bar.parts[place] for bar in bars]
        axes.barh(names, widths, left=lefts, height=0.7, color=color, lw=0)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    for row, total in enumerate(totals):
        axes.annotate(f"{total:,.0f}", (total, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlim(0, 1.2 * max(totals))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, prune="upper"))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=False, axis="y")
    if not axes.yaxis_inverted():
        axes.invert_yaxis()  # the first network at the top, as in the tables
