"""What the networks' memory is made of: live tensors at their peak, part by part, and what the device measured."""

from collections.abc import Sequence
from typing import get_args

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from harness.report.measurement_frame import LIVE_PARTS, MEMORY_CELLS, Use, fact
from harness.report.plots.base import Drawing, Plot, drawing
from harness.report.plots.style import key, new_figure, sign, size_text, styled
from harness.report.resources import MeasurementGroup
from harness.report.store import title

# None of the networks' colors; light and dark in turn, so that neighbors differ in black and white.
_COLORS = ("#332288", "#ddb7c6", "#882255", "#44aa77", "#9cc9e8", "#776622", "#d0d0d0")
MEASURED = "allocated_peak"


def memory_frame(group: MeasurementGroup) -> pd.DataFrame:
    """A row a use and network: its parts and the allocator's peak (NaN where not measured) in MiB."""
    rows = []
    for use in get_args(Use):
        cell = MEMORY_CELLS[use]
        for record in group.records:
            parts = {part: fact(record, *cell, f"live_{part}_mib").value for part in LIVE_PARTS}
            measured = fact(record, *cell, "peak_allocated_mib").value
            if None not in parts.values():
                rows.append({"use": use, "network": title(record.spec.architecture), **parts, MEASURED: measured})
    return pd.DataFrame(rows, columns=["use", "network", *LIVE_PARTS, MEASURED]).astype({MEASURED: float})


def memory_figure(group: MeasurementGroup) -> Figure | None:
    """A stacked bar a network, inference on the left and training on the right; none without any."""
    frame = memory_frame(group)
    if frame.empty:
        return None
    size, device = size_text(group.size), group.first.device_name
    measured = bool(frame[MEASURED].notna().any())
    kind = f"analytic, and measured on {device}" if measured else "analytic"
    with styled():
        figure = new_figure(
            2.0 + 0.32 * frame["network"].nunique(), f"Memory at its peak by part, input {size}: {kind}"
        )
        for axes, use in zip(figure.subplots(1, 2, sharey=True), MEMORY_CELLS, strict=True):
            _draw_bars(axes, frame[frame["use"].eq(use)])
            axes.set_title(f"{use}, batch {MEMORY_CELLS[use][1]}")
            axes.set_xlabel("MiB")
        entries: list[Artist] = [
            Patch(facecolor=color, label=part.replace("_", " "))
            for part, color in zip(LIVE_PARTS, _COLORS, strict=True)
            if frame[part].any()
        ]
        if measured:
            entries.append(sign("measured: allocator's peak, second number", marker="|", ms=10, mew=2, color="black"))
        key(figure, entries, columns=4)
    return figure


def _draw_bars(axes: Axes, frame: pd.DataFrame) -> None:
    names = list(frame["network"])
    lefts = pd.Series(0.0, index=frame.index)
    for part, color in zip(LIVE_PARTS, _COLORS, strict=True):
        axes.barh(names, frame[part], left=lefts, height=0.7, color=color, lw=0, label=part)
        lefts = lefts + frame[part]
    axes.plot(frame[MEASURED], range(len(names)), "|", color="black", ms=15, mew=2, label=MEASURED)
    for row, (total, measured) in enumerate(zip(lefts, frame[MEASURED], strict=True)):
        known: Sequence[float] = [total] if pd.isna(measured) else [total, measured]
        axes.annotate(
            " | ".join(f"{value:,.0f}" for value in known),
            *((max(known), row), (4, 0)),
            textcoords="offset points",
            va="center",
        )
    axes.set_xlim(0, (1.5 if frame[MEASURED].notna().any() else 1.25) * max(lefts.max(), frame[MEASURED].max(), 1))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(names) - 0.4, -0.6)  # the first network at the top, as in the tables


def memory_breakdown(group: MeasurementGroup) -> Drawing | None:
    """The picture of a device's measurements; none where nothing was counted."""
    if (figure := memory_figure(group)) is None:
        return None
    frame = memory_frame(group)
    values = {
        "first": group.first,
        "reduced": group.reduced,
        "measured": bool(frame[MEASURED].notna().any()),
        "missing": [title(one.spec.architecture) for one in group.records if one.shapes is None],
    }
    return drawing(figure, "What memory is made of", f"memory-{group.slug}", "memory", values)


PLOT = Plot(subject="device", place=1, draw=memory_breakdown)
