"""Our time over the PyTorch baseline's."""

from pathlib import Path

from matplotlib.figure import Figure

from harness.records.speed import Entry, PerformanceRecord, spread
from harness.report.plots.base import Drawing, drawing
from harness.report.plots.style import GRAY, key, new_figure, plain_axis, sign, size_text, styled

_MET, _MISSED, _NO_TARGET = ("#029e73", "o"), ("#d55e00", "X"), ("#0173b2", "s")


def compared(record: PerformanceRecord) -> list[Entry]:
    """The entries that have an opponent."""
    return [entry for entry in record.entries if entry.ratios]


def ratios_figure(record: PerformanceRecord) -> Figure:
    """The median ratio of each entry with its quartiles, its target as a bar across; logarithmic."""
    entries = compared(record)
    found = [spread(entry.ratios) for entry in entries]
    reduced = " (REDUCED)" if record.reduced else ""
    heading = f"Time over the PyTorch baseline's, {size_text(record.size)}{reduced}: {record.device_name}"
    with styled():
        figure = new_figure(1.3 + 0.3 * len(entries), heading)
        axes = figure.subplots()
        axes.axvline(1, color=GRAY, lw=0.9, ls="--", zorder=1)
        for place, (entry, ratio) in enumerate(zip(entries, found, strict=True)):
            color, marker = _look(entry)
            reach = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
            axes.errorbar([ratio.median], [place], xerr=reach, color=color, marker=marker, capsize=3, lw=1.2)
            if entry.target is not None and entry.target.quantity == "ratio":
                axes.plot([entry.target.at_most] * 2, [place - 0.35, place + 0.35], color="black", lw=1.8)
            text = f"{ratio.median:#.3g}".rstrip(".")
            axes.annotate(text, (1.01, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
        targets = [entry.target.at_most for entry in entries if entry.target and entry.target.quantity == "ratio"]
        ends = [end for one in found for end in (one.low, one.high)]
        plain_axis(axes.xaxis, [*ends, *targets, 1.0])
        axes.set_yticks(range(len(entries)), [entry.title for entry in entries])
        axes.set_ylim(len(entries) - 0.5, -0.5)
        axes.set_xlabel("our time over the opponent's, less is better (logarithmic)")
        looks = {"target met": _MET, "target missed": _MISSED, "no target": _NO_TARGET}
        entries_ = [sign(label, color=color, marker=marker) for label, (color, marker) in looks.items()]
        key(figure, [*entries_, sign("target", marker="|", ms=10, mew=1.8, color="black")])
    return figure


def _look(entry: Entry) -> tuple[str, str]:
    if entry.target is None or entry.target.quantity != "ratio":
        return _NO_TARGET
    return _MET if entry.met else _MISSED


def ratios_plot(record: PerformanceRecord) -> Drawing:
    """The picture of a record with an entry that has an opponent."""
    return drawing(ratios_figure(record), "Ratios", Path(record.file_name).stem, "performance", {"record": record})
