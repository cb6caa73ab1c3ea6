"""A forest plot: differences with their intervals, a row each, the paper's own hollow beside."""

import pandas as pd
from matplotlib.figure import Figure

from harness.report.plots.base import Drawing, Plot, drawing
from harness.report.plots.style import DARK, GRAY, key, new_figure, sign, styled


def forest_figure(frame: pd.DataFrame, title: str, unit: str = "percentage points") -> Figure:
    """Differences in one column, above 0 to the right of the line.

    Args:
        frame: columns label, difference, low, high, paper; a row a comparison; low, high and paper may be NaN.
        title: one line.
        unit: of all of these.
    """
    with styled():
        figure = new_figure(1.3 + 0.3 * len(frame), title)
        axes = figure.subplots()
        axes.axvline(0, color=GRAY, lw=1.0, zorder=1)
        for place, row in enumerate(frame.to_dict("records")):
            middle, low, high, paper = (float(row[name]) for name in ("difference", "low", "high", "paper"))
            text = "not measured" if pd.isna(middle) else f"{middle:+.2f}"
            if not pd.isna(low) and not pd.isna(high):
                axes.plot([low, high], [place, place], color="#0173b2", lw=1.6, marker="|", ms=7, label="interval")
                text += f"  [{low:+.2f}, {high:+.2f}]"
            axes.plot([middle], [place], "o", color="#0173b2", label="difference")
            axes.plot([paper], [place], "D", color=DARK, mfc="white", ms=6, zorder=3, label="paper")
            right = (1.02, place)
            axes.annotate(
                text.replace("-", "−"), right, xycoords=("axes fraction", "data"), va="center", annotation_clip=False
            )
        axes.set_yticks(range(len(frame)), [str(label) for label in frame["label"]])
        axes.set_ylim(len(frame) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"difference ({unit})")
        entries = [sign("here, with its interval", marker="o", linestyle="-", color="#0173b2")]
        if frame["paper"].notna().any():
            entries.append(sign("the paper's own", marker="D", mfc="white"))
        key(figure, entries)
    return figure


def forest(frame: pd.DataFrame, title: str, unit: str = "percentage points") -> Drawing:
    """The picture of a claim's differences; see `forest_figure`."""
    figure = forest_figure(frame, title, unit)
    return drawing(figure, title, "forest", "forest", {"paper": bool(frame["paper"].notna().any()), "unit": unit})


PLOT = Plot(subject="differences", place=1, draw=forest)
