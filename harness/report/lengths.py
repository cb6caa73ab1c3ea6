"""What do more iterations bring? Networks trained by one recipe for several lengths, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from harness.report.accuracy import SPLITS
from harness.report.accuracy_tables import with_origin
from harness.report.families import without
from harness.report.groups import Group, Run, title
from harness.report.tables import listing, markdown, percent, signed
from harness.report.wording import reduced_mark

# What a protocol of another length is called after, too: it follows from the iterations or hardly matters.
VARIED = frozenset({"iterations", "eval_interval"})
_CHECKED = ("loss_last", "loss_change", "train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Groups of one recipe, data, precision and initial weights, by iterations; full or reduced ones.

    name: of the protocol, without what varies. frame: of `_rows`, networks with several lengths only.
    """

    name: str
    groups: tuple[Group, ...]
    frame: pd.DataFrame

    @property
    def networks(self) -> list[str]:
        """Titles, in the order of the report."""
        return list(dict.fromkeys(self.frame["network"]))


def lengths(checked: Sequence[tuple[Group, pd.DataFrame]]) -> list[Lengths]:
    """One for each recipe, data, precision and initial weights with a network of several lengths.

    Networks whose output is refined are left out: they were not trained apart.

    Args:
        checked: groups with finished runs, each with its frame of `checks.checks`.
    """
    members: dict[tuple[str, ...], list[tuple[Group, pd.DataFrame]]] = {}
    for group, checks in checked:
        name = without(group.protocol.title, group.protocol, VARIED)
        weights = group.weights.sha256 or group.weights.kind
        key = (name, group.digest, group.computed, weights, "reduced" if group.reduced else "full")
        members.setdefault(key, []).append((group, checks))
    found = []
    for (name, *_), joined in members.items():
        ordered = sorted(joined, key=lambda one: one[0].protocol.iterations)
        frame = pd.concat([_rows(group, checks) for group, checks in ordered], ignore_index=True)
        several = frame.groupby("network")["iterations"].transform("nunique") > 1
        if several.any():
            groups = tuple(group for group, _ in ordered)
            found.append(Lengths(name=name, groups=groups, frame=frame[several].reset_index(drop=True)))
    return found


def _rows(group: Group, checks: pd.DataFrame) -> pd.DataFrame:
    """A row for each network of a group, with what it was made under.

    Columns initial_weights, network, iterations, seeds; of `checks.checks` loss_last, loss_change, train,
    val, test; BF on test in percent. Means over seeds.
    """
    by_title = checks.set_index("network")
    rows = [
        {
            "initial_weights": group.weights.title,
            "network": title(name),
            "iterations": group.protocol.iterations,
            "seeds": len(runs),
            **by_title.loc[title(name), list(_CHECKED)],
            "BF": _bf(runs, group.shown_label),
        }
        for name in group.networks
        if not (runs := group.of(name))[0].record.spec.postprocess
    ]
    return with_origin(group, pd.DataFrame(rows))


def _bf(runs: Sequence[Run], label: str) -> float:
    scored = [one.bf for run in runs if (one := run.at("test", label)) is not None and one.bf is not None]
    return 100 * float(np.mean(scored)) if scored else np.nan


def lengths_frame(found: Sequence[Lengths]) -> pd.DataFrame:
    """The rows of all, as a file holds them."""
    return pd.concat([one.frame for one in found], ignore_index=True)


def lengths_text(one: Lengths) -> pd.DataFrame:
    """The frame as text cells, the lengths of each network under each other."""
    place = {name: number for number, name in enumerate(one.networks)}
    frame = one.frame.sort_values(["network", "iterations"], key=lambda column: column.replace(place))
    return pd.DataFrame(
        {
            "network": frame["network"],
            "iterations": [f"{value:,}" for value in frame["iterations"]],
            "seeds": [f"{value}" for value in frame["seeds"]],
            "training loss, last tenth": [f"{value:.3f}" for value in frame["loss_last"]],
            "against the tenth before, %": [signed(value) for value in frame["loss_change"]],
            **{f"{split}: mIoU %": [percent(value) for value in frame[split]] for split in SPLITS},
            "test: BF %": [percent(value) for value in frame["BF"]],
        }
    )


def lengths_notes(one: Lengths) -> list[str]:
    """What each network gains, and whether the order of those that have all lengths stays."""
    group = one.groups[0]
    miou = one.frame.pivot(index="iterations", columns="network", values="test")[one.networks]
    notes = [
        "Each length is a training of its own, whose rate of learning follows the whole of it. Scores in row "
        f"'{group.shown_label}' of each one's table, means over seeds; ties are marked there.",
    ]
    for shorter, longer in pairwise(miou.index):
        gains = (miou.loc[longer] - miou.loc[shorter]).dropna()
        told = ", ".join(f"{name} {signed(gain)}" for name, gain in gains.items())
        notes.append(f"mIoU on test from {shorter:,} to {longer:,} iterations, points: {told}.")
    whole = miou.dropna(axis="columns")
    if whole.shape[1] > 1:
        ranked = {at: " > ".join(row.sort_values(ascending=False).index) for at, row in whole.iterrows()}
        if len(set(ranked.values())) == 1:
            notes.append(f"The order on test is the same for every length: {next(iter(ranked.values()))}.")
        else:
            told = "; ".join(f"{at:,}: {order}" for at, order in ranked.items())
            notes.append(f"The order on test changes: {told}.")
    return notes


def lengths_section(one: Lengths) -> list[str]:
    """The part of the page on one recipe."""
    group = one.groups[0]
    mark = reduced_mark(*one.groups)
    return [
        f"### What do more iterations bring? {one.name} on {group.variant}, {group.computed}, {group.weights.title}\n",
        f"**{mark}**\n" if mark else "",
        markdown(lengths_text(one)),
        listing(lengths_notes(one)),
    ]
