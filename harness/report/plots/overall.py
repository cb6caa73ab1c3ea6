"""Accuracy against memory of all networks that one protocol trained, whatever weights they started from."""

import re
from collections.abc import Sequence

import pandas as pd

from harness.config.run_spec import InitialWeights
from harness.report.grouping import input_size
from harness.report.plots.base import Drawing, Plot, PlotContext, bars_words, drawing
from harness.report.plots.style import palette, size_text
from harness.report.plots.trade_off import COSTS, cost_of, trade_off_figure, trade_off_frame
from harness.report.sections import Section
from harness.report.store import title

_SIGNS = "*†‡§"  # behind a network's name, for the weights that the second and further sections start from


def overall_frame(sections: Sequence[Section], size: tuple[int, int]) -> pd.DataFrame:
    """`trade_off_frame` of memory at an input size (height, width), with `sign`: of the section.

    Memory is the peak of live tensors, which is the same on every machine, so that devices may mix.
    """
    found = []
    for sign, section in zip(["", *_SIGNS], sections, strict=False):
        context = PlotContext(group=section.group, palette=palette(section.suite, section.networks))
        fitting = [
            one for one in section.costs_by_fit if one.size == size and cost_of("memory", one) == COSTS["memory"]
        ]
        frames = [trade_off_frame(context, one, "memory") for one in fitting]
        own = pd.concat(frames).drop_duplicates(["source", "network"]) if frames else pd.DataFrame()
        if not own.empty:
            found.append(own[own["source"].eq("here") | (sign == "")].assign(sign=sign))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def overall(sections: Sequence[Section]) -> Drawing | None:
    """The picture of sections of one protocol that differ in what their runs start from; none of a single one."""
    if len(sections) < 2:
        return None
    first = sections[0].group
    own = input_size(first.protocol, first.dataset)
    sizes = dict.fromkeys([own, *(one.size for section in sections for one in section.costs_by_fit)])
    frames = {size: overall_frame(sections, size) for size in sizes}
    size, frame = max(frames.items(), key=lambda item: len(item[1]))
    if frame.empty or frame["sign"].nunique() < 2:
        return None
    networks = [name for section in sections for name in section.networks]
    context = PlotContext(group=first, palette=palette(sections[0].suite, networks))
    starts = {sign: _short(section.group.weights) for sign, section in zip(_SIGNS, sections[1:], strict=False)}
    signs = {sign: f"from {text}" for sign, text in starts.items() if sign in set(frame["sign"])}
    shown = set(frame.loc[frame["source"].eq("here"), "network"])
    values = {
        "group": first,
        "sections": sections,
        "bars": bars_words([len(section.group.of(name)) for section in sections for name in section.group.networks]),
        "sizes": (size_text(own), size_text(size)),
        "starts": {"no sign": _short(first.weights), **starts},
        "missing": [title(name) for name in networks if title(name) not in shown],
        "paper": frame["source"].eq("paper").any(),
    }
    figure = trade_off_figure(context, None, "memory", frame, signs)
    return drawing(figure, "Memory versus accuracy, all initial weights", "memory-accuracy", "overall", values)


def _short(weights: InitialWeights) -> str:
    """`VGG16 ImageNet`: without who published them, and which parts each network has of them."""
    return re.split(r" \(|, ", weights.title, maxsplit=1)[0]


PLOT = Plot(subject="home", place=1, draw=overall)
