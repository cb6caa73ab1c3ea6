"""Table 1: the decoder variants' scores, by what they keep for the decoder."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.grouping import input_size
from harness.report.plots.base import Drawing, Plot, bars_words, drawing
from harness.report.plots.style import Palette, key, new_figure, sign, size_text, styled
from harness.report.sections import Section


def storage_points(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A row a variant and weighting, by storage: class_weighting, network, storage_bytes, ours, low, high, paper."""
    rows = frame[frame["split"].eq("test") & frame[f"{metric}_ours"].notna() & frame["storage_bytes"].notna()]
    ours = rows[f"{metric}_ours"]
    points = rows[["class_weighting", "network"]].assign(
        storage_bytes=rows["storage_bytes"].astype(float),
        ours=ours,
        low=rows[f"{metric}_low"].fillna(ours),
        high=rows[f"{metric}_high"].fillna(ours),
        paper=rows[f"{metric}_paper"],
    )
    return points.sort_values("storage_bytes", kind="stable")


def storage_figure(section: Section, frame: pd.DataFrame, palette: Palette, metric: str) -> Figure | None:
    """A score on test, a row a variant by the bytes that it keeps, a panel a weighting; none without a point.

    Args:
        section: of Table 1.
        frame: from `table1.table1`.
        palette: the suite's.
        metric: "mIoU" or "BF".
    """
    points = storage_points(frame, metric)
    weightings = [name for name in section.class_weightings if points["class_weighting"].eq(name).any()]
    if not weightings:
        return None
    kept = points.drop_duplicates("network").set_index("network")["storage_bytes"]
    reduced = " (REDUCED)" if section.group.reduced else ""
    with styled():
        figure = new_figure(1.6 + 0.34 * len(kept), f"{metric} by storage: {section.dataset.title} test{reduced}")
        panels = figure.subplots(1, len(weightings), squeeze=False, sharex=True, sharey=True)[0]
        for axes, name in zip(panels, weightings, strict=True):
            _draw(axes, palette, points[points["class_weighting"].eq(name)], list(kept.index))
            axes.set(title=f"class weights: {name}", xlabel=f"{metric} on test (%)", ylim=(len(kept) - 0.5, -0.5))
        panels[0].set_yticks(range(len(kept)), [f"{name}: {bytes_text(value)}" for name, value in kept.items()])
        key(figure, [sign("here", marker="o"), sign("the paper's own", marker="o", mfc="white")])
    return figure


def _draw(axes: Axes, palette: Palette, points: pd.DataFrame, variants: Sequence[str]) -> None:
    """Ours filled with its bar, the paper's hollow."""
    for row in points.to_dict("records"):
        place, name, ours = variants.index(row["network"]), row["network"], row["ours"]
        look = palette.look(name)
        spread = [[ours - row["low"]], [row["high"] - ours]]
        axes.errorbar([ours], [place], xerr=spread, lw=1.2, capsize=3, label=name, **look)
        axes.plot([row["paper"]], [place], mfc="white", linestyle="none", label=f"{name}, paper", **look)


def bytes_text(value: float) -> str:
    """`691 kB`, `11.1 MB`: three digits that count."""
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:g}"


def storage(section: Section, frame: pd.DataFrame, palette: Palette) -> Sequence[Drawing]:
    """The pictures of Table 1, of mIoU and BF; none without a point."""
    made, group, measured = [], section.group, section.costs
    if measured is None:
        return []
    for metric in ("mIoU", "BF"):
        if (figure := storage_figure(section, frame, palette, metric)) is not None:
            shown = set(storage_points(frame, metric)["network"])
            values = {
                "group": group,
                "metric": metric,
                "bars": bars_words([count for count in frame["seeds"] if count]),
                "first": measured.first,
                "sizes": (size_text(input_size(group.protocol, section.dataset)), size_text(measured.size)),
                "missing": [name for name in dict.fromkeys(frame["network"]) if name not in shown],
            }
            made.append(drawing(figure, f"Storage versus {metric}", f"storage-{metric.lower()}", "storage", values))
    return made


PLOT = Plot(subject="table1", place=1, draw=storage)
