"""The report on the comparison with the PyTorch baseline: a table for each record in `results/performance/`."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.records.speed import (
    Entry,
    PerformanceRecord,
    Spread,
    Target,
    load_performance,
    spread,
)
from harness.report.figures import png
from harness.report.tables import csv, left_out_section, listing, markdown, significant
from harness.report.wording import extent

FOLDER = "performance"
_MET, _MISSED, _NO_TARGET = "#029e73", "#d55e00", "#0173b2"


def performance_files(results: Path) -> dict[str, bytes]:
    """README.md, performance.csv and a plot for each record, by name; empty where nothing was compared.

    Damaged records are named.
    """
    damaged: list[str] = []
    # the paper's size first; reduced records have tables and plots of their own
    records = sorted(load_performance(results, damaged.append), key=lambda record: record.reduced)
    if not records and not damaged:
        return {}
    text = [
        "# The harness against the PyTorch baseline\n",
        "Regenerated from `results/performance/` alone by `python -m harness report`. Do not edit it by hand.\n",
        listing(_general()),
    ]
    whole = [record for record in records if not record.reduced]
    if len(whole) > 1:
        text += ["## Targets on each machine\n", markdown(targets_table(whole))]
    for record in records:
        text += _section(record)
    text += left_out_section(damaged, results)
    files = {"README.md": "\n".join(part.rstrip("\n") + "\n" for part in text if part).encode()}
    if records:
        files["performance.csv"] = csv(pd.concat([frame(record) for record in records])).encode()
    pictures = {picture_name(record): ratios_plot(record) for record in records if _compared(record)}
    return files | pictures


def frame(record: PerformanceRecord) -> pd.DataFrame:
    """One row an entry: both sides' median seconds, the ratio with its quartiles, the target, whether met."""
    rows = []
    for entry in record.entries:
        ratio = spread(entry.ratios) if entry.ratios else None
        target = entry.target
        rows.append(
            {
                "device": record.device_name,
                "threads": record.threads,
                "size": f"{record.size[0]}x{record.size[1]}",
                "entry": entry.name,
                "images": entry.images,
                "n": len(entry.ours_s),
                "ours_s": spread(entry.ours_s).median if entry.ours_s else None,
                "opponent": entry.opponent,
                "opponent_s": spread(entry.opponent_s).median if entry.opponent_s else None,
                "ratio": ratio.median if ratio else None,
                "ratio_low": ratio.low if ratio else None,
                "ratio_high": ratio.high if ratio else None,
                "target": f"{target.quantity} at most {target.at_most:g}" if target else None,
                "met": _met(entry.met) if target else None,
                "failure": entry.failure,
            }
        )
    return pd.DataFrame(rows).astype({"images": "Int64"})


def targets(record: PerformanceRecord) -> list[str]:
    """Each target with what was measured, whether it was met, and what explains a missed one."""
    lines = []
    for entry in record.entries:
        if entry.target is None:
            continue
        limit = f"{entry.target.at_most:g}"
        if not entry.ours_s:
            lines.append(f"{entry.title}: n/a (target {limit}): NOT met: {entry.failure}.")
        elif entry.target.quantity == "ratio":
            found = f"{spread(entry.ratios).median:.3f} of {entry.opponent}'s time"
            lines.append(f"{entry.title}: {found} (target: at most {limit}): {_met(entry.met)}{_why(entry)}.")
        else:
            found = f"{_figure(spread(entry.ours_s).median)} s"
            lines.append(f"{entry.title}: {found} (target: at most {limit} s): {_met(entry.met)}{_why(entry)}.")
    return lines


def targets_table(records: Sequence[PerformanceRecord]) -> pd.DataFrame:
    """The figure of each entry that has a target, as text, a column for each record; sections say more."""
    aims: dict[str, dict[str, str]] = {}
    for record in records:
        head = f"{record.device_name}, {record.threads} threads, {extent(record.size)}"
        for entry in record.entries:
            if entry.target is not None:
                row = aims.setdefault(entry.name, {"what": entry.title, "target": _target(entry)})
                row[head] = _reached(entry, entry.target)
    return pd.DataFrame(list(aims.values())).fillna("–")


def _reached(entry: Entry, target: Target) -> str:
    if not entry.ours_s:
        return "n/a: NOT met"
    ratio = target.quantity == "ratio"
    found = _figure(spread(entry.ratios).median) if ratio else f"{_figure(spread(entry.ours_s).median)} s"
    return f"{found}: {_met(entry.met)}"


def _why(entry: Entry) -> str:
    if entry.met:
        return ""
    reasons = [*entry.notes, *entry.flags]
    return f": {'; '.join(reasons)}" if reasons else ": no reason was found by the measurement itself"


def plain_step(record: PerformanceRecord) -> str | None:
    """The PyTorch baseline's training step in seconds an image, in one sentence; none where it was not measured."""
    entry = record.entry("training-fp32")
    if entry is None or not entry.opponent_s or entry.images is None:
        return None
    found = _spread_text(spread([value / entry.images for value in entry.opponent_s]))
    ours = _spread_text(spread([value / entry.images for value in entry.ours_s]))
    return (
        f"The PyTorch baseline's training step takes {found} s an image, ours {ours} s (float32, batch "
        f"{entry.images}, {extent(record.size)}, median and quartiles of {len(entry.opponent_s)} steps)."
    )


def ratios_plot(record: PerformanceRecord) -> bytes:
    """PNG: the median ratio of each entry with its quartiles, its target as a bar across; logarithmic."""
    entries = _compared(record)[::-1]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, entry in enumerate(entries):
            ratio = spread(entry.ratios)
            color = _color(entry)
            reach = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
            axes.errorbar(ratio.median, place, xerr=reach, color=color, marker="o", capsize=3, lw=1.2)
            if entry.target is not None and entry.target.quantity == "ratio":
                axes.plot([entry.target.at_most] * 2, [place - 0.35, place + 0.35], color="black", lw=1.6)
        axes.axvline(1, color="gray", lw=0.8, ls="--")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_yticks(range(len(entries)), [entry.name for entry in entries])
        axes.set(xlabel="our time over the opponent's (median and quartiles; less is better)")
        figure.legend(handles=_signs(), loc="outside lower center", ncols=4, frameon=False)
        mark = f"\nREDUCED: input {extent(record.size)}" if record.reduced else ""
        figure.suptitle(
            f"The harness against the PyTorch baseline, input {extent(record.size)}\n"
            f"{record.device_name}, {record.threads} threads{mark}"
        )

    return png(draw, 1.6 + 0.3 * len(entries))


def _signs() -> list[Line2D]:
    dots = {"target met": _MET, "target NOT met": _MISSED, "no target of its ratio": _NO_TARGET}
    handles = [Line2D([], [], marker="o", color=color, label=label) for label, color in dots.items()]
    return [*handles, Line2D([], [], marker="|", ls="none", ms=9, mew=1.6, color="black", label="target")]


def _color(entry: Entry) -> str:
    if entry.target is None or entry.target.quantity != "ratio":
        return _NO_TARGET
    return _MET if entry.met else _MISSED


def _compared(record: PerformanceRecord) -> list[Entry]:
    return [entry for entry in record.entries if entry.ratios]


def picture_name(record: PerformanceRecord) -> str:
    """File of a record's plot."""
    return f"{Path(record.file_name).stem}.png"


def _general() -> list[str]:
    return [
        "The PyTorch baseline is SegNet, its data and its scores as people write them by hand: default PyTorch in "
        "float32 and NCHW on the same threads, `nn.MaxUnpool2d`, a DataLoader that decodes PNGs, scores in "
        "Python loops with distance transforms (`tests/benchmarks/plain`).",
        "Either side has a process of its own: the plain one with the default environment, ours with the one "
        "that `run` gives its workers. They take turns, one computing at a time, and the order is "
        "swapped each round. Times are medians. Ratios are taken within a round; shown are their median and "
        "quartiles. Below 1 ours is faster.",
        "The overhead of a run is measured in one process: its training loop against the same step on tensors at hand.",
        "In bfloat16 and with folded batch norm, only our side changes; the PyTorch baseline stays in float32.",
    ]


def _section(record: PerformanceRecord) -> list[str]:
    head = f"## Input {extent(record.size)}, {record.device_name}\n"
    reduced = f"**REDUCED: input {extent(record.size)}; for the regression gate**\n" if record.reduced else ""
    aims = targets(record)
    step = plain_step(record)
    failed = [f"FAILED: {entry.name}: {entry.failure}." for entry in record.entries if entry.failure]
    name = picture_name(record)
    return [
        head,
        reduced,
        f"{step}\n" if step else "",
        f"### Times\n\n{markdown(times_text(record))}",
        f"![Ratios]({name})\n" if _compared(record) else "",
        f"### Targets\n\n{listing(aims)}" if aims else "",
        f"### What was measured\n\n{listing([*_entries(record), *failed])}",
        f"### On what\n\n{listing(_facts(record))}",
    ]


def times_text(record: PerformanceRecord) -> pd.DataFrame:
    """The table of a record, as text."""
    return pd.DataFrame(
        {
            "what": entry.title,
            "rounds": str(len(entry.ours_s)) if entry.ours_s else "n/a",
            "ours, s": _seconds(entry.ours_s),
            "opponent, s": _seconds(entry.opponent_s) if entry.opponent else "–",
            "ratio": _ratio_text(entry),
            "target": _target(entry),
            "met": "–" if entry.target is None else _met(entry.met),
        }
        for entry in record.entries
    )


def _entries(record: PerformanceRecord) -> list[str]:
    """What a sample of each entry is, with what explains it and what makes it doubtful."""
    lines = []
    for entry in record.entries:
        against = f" Opponent: {entry.opponent}." if entry.opponent else ""
        notes = "".join(f" {note[0].upper()}{note[1:]}." for note in (*entry.notes, *_beyond_peak(entry)))
        flags = "".join(f" Doubtful: {flag}." for flag in entry.flags)
        lines.append(f"{entry.title}: {entry.what}.{against}{notes}{flags}")
    return lines


def _beyond_peak(entry: Entry) -> list[str]:
    if not entry.name.startswith("peak-") or not entry.ratios or spread(entry.ratios).median >= 1:
        return []
    return [
        "here convolutions do more operations a second than torch's matrix product, which therefore is no "
        "upper bound on this device"
    ]


def _facts(record: PerformanceRecord) -> list[str]:
    days = sorted({entry.measured_at[:10] for entry in record.entries})
    total_s = sum(entry.wall_s for entry in record.entries)
    versions = sorted({str(one.get("torch")) for one in record.environments})
    commits = sorted(
        {
            f"{str(one.get('git_commit'))[:10]}{' (changed)' if one.get('git_dirty') else ''}"
            for one in record.environments
        }
    )
    command = "make performance-baseline" if record.reduced else "make performance"
    return [
        f"Measured {', '.join(days)} in {total_s:.0f} s, torch {', '.join(versions)}, {record.threads} "
        f"threads, code {', '.join(commits)}.",
        f"Made by `{command}`.",
    ]


def _target(entry: Entry) -> str:
    if entry.target is None:
        return "–"
    unit = " s" if entry.target.quantity == "seconds" else " of its time"
    return f"at most {entry.target.at_most:g}{unit}"


def _seconds(values: Sequence[float]) -> str:
    return _figure(spread(values).median) if values else "n/a"


def _figure(value: float) -> str:
    """Three digits that count, of whatever magnitude."""
    return significant(value) if value >= 1 else f"{value:#.3g}"


def _ratio_text(entry: Entry) -> str:
    if not entry.ratios:
        return "n/a" if entry.opponent else "–"
    return _spread_text(spread(entry.ratios))


def _spread_text(found: Spread) -> str:
    low, middle, high = (_figure(value) for value in (found.low, found.median, found.high))
    return f"{middle} [{low}, {high}]"


def _met(met: bool | None) -> str:
    return "met" if met else "NOT met"
