"""Plots: one module a kind, each a picture with a caption. A module that is added here is found by itself.

Its `PLOT` says what it is drawn from; its functions named `..._figure` give matplotlib's figures. Titles are of one
line; what else a reader must know is the caption's, from `templates/captions/`.
"""

from collections.abc import Sequence

from harness.report.plots.base import Drawing, NoPlot, Plot, PlotContext, Subject
from harness.report.plots.style import Palette, palette
from harness.system.registry import Registry, entries_of_package

_SHARED = {"base", "performance", "png", "style"}
PLOTS: Registry[Plot] = Registry("plot", [one for one in entries_of_package(__name__, "PLOT") if one[0] not in _SHARED])


def drawings(subject: Subject, *values: object) -> list[Drawing | NoPlot]:
    """All pictures of a subject, in the order of a page; `values` are what its plots are drawn from."""
    plots = sorted((plot for name in PLOTS if (plot := PLOTS[name]).subject == subject), key=lambda plot: plot.place)
    found: list[Drawing | NoPlot] = []
    for plot in plots:
        made = plot.draw(*values)
        found += made if isinstance(made, Sequence) else [made] if made else []
    return found


__all__ = [
    "PLOTS",
    "Drawing",
    "NoPlot",
    "Palette",
    "Plot",
    "PlotContext",
    "drawings",
    "palette",
]
