"""Does the order of the networks hold? Their mIoU on test over seeds and initial weights, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import pandas as pd

from harness.report.accuracy_tables import with_origin
from harness.report.groups import Group, title
from harness.report.tables import listing, markdown
from harness.report.wording import reduced_mark


@dataclass(frozen=True, kw_only=True)
class Row:
    """mIoU in percent of all networks that were trained from the same initial weights and seed.

    scores: by the network's title, in the order of the report. shown: the row of the table that they are of.
    """

    weights: str
    seed: int
    shown: str
    scores: dict[str, float]

    def place(self, network: str) -> int:
        """1 for the highest."""
        return 1 + sum(score > self.scores[network] for score in self.scores.values())


@dataclass(frozen=True, kw_only=True)
class Order:
    """Groups of one protocol, data and precision, which differ in initial weights, as rows by seed."""

    groups: tuple[Group, ...]
    rows: tuple[Row, ...]

    @property
    def networks(self) -> list[str]:
        """Titles of all networks, in the order of the report."""
        return list(dict.fromkeys(name for row in self.rows for name in row.scores))

    def pairs(self) -> Iterator["Pair"]:
        """Every two networks that stand side by side in at least two rows."""
        for one, other in combinations(self.networks, 2):
            both = [row for row in self.rows if {one, other} <= row.scores.keys()]
            if len(both) > 1:
                ahead = sum(row.scores[one] > row.scores[other] for row in both)
                yield Pair(one=one, other=other, ahead=ahead, rows=len(both))


@dataclass(frozen=True, kw_only=True)
class Pair:
    """How often the first of two networks has the higher mIoU."""

    one: str
    other: str
    ahead: int
    rows: int

    @property
    def holds(self) -> bool:
        """Whether the same one is ahead in every row."""
        return self.ahead in (0, self.rows)


def orders(groups: Sequence[Group]) -> list[Order]:
    """One for each protocol, data and precision with two networks side by side in at least two rows.

    Networks whose output is refined are left out: they were not trained apart.
    """
    members: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        members.setdefault((group.protocol.title, group.digest, group.computed), []).append(group)
    found = [
        Order(groups=tuple(joined), rows=tuple(row for group in joined for row in _rows(group)))
        for joined in members.values()
    ]
    return [order for order in found if any(order.pairs())]


def _rows(group: Group) -> Iterator[Row]:
    label = group.shown_label
    for seed in sorted({run.record.spec.seed for run in group.runs}):
        scores = {
            title(run.record.spec.network): 100 * scored.scores.miou
            for run in group.runs
            if run.record.spec.seed == seed and not run.record.spec.postprocess
            if (scored := run.at("test", label)) is not None
        }
        if len(scores) > 1:
            weights = "none loaded" if group.weights.kind == "none" else group.weights.title
            yield Row(weights=weights, seed=seed, shown=group.shown_checkpoint, scores=scores)


def order_frame(found: Sequence[Order]) -> pd.DataFrame:
    """A row for each network, seed and initial weights.

    Columns protocol, data, data_sha256, precision, reduced, initial_weights, seed, network, checkpoint,
    mIoU, place.
    """
    return pd.concat([_frame(order) for order in found], ignore_index=True)


def _frame(order: Order) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "initial_weights": row.weights,
            "seed": row.seed,
            "network": network,
            "checkpoint": row.shown,
            "mIoU": score,
            "place": row.place(network),
        }
        for row in order.rows
        for network, score in row.scores.items()
    )
    return with_origin(order.groups[0], rows)


def order_text(order: Order) -> pd.DataFrame:
    """`49.58 (1)`: mIoU and place among the networks of that row."""
    rows = []
    for row in order.rows:
        cells = {name: f"{score:.2f} ({row.place(name)})" for name, score in row.scores.items()}
        own = {"initial weights of the encoder": row.weights, "seed": f"{row.seed}"}
        rows.append(own | {name: cells.get(name, "–") for name in order.networks})
    return pd.DataFrame(rows)


def order_notes(order: Order) -> list[str]:
    """Which pairs keep their order, and how far one network's scores lie apart."""
    pairs = list(order.pairs())
    broken = [pair for pair in pairs if not pair.holds]
    text = (
        f"Pairs of networks that stand side by side in several rows: {len(pairs)}; in the same order in "
        f"each: {len(pairs) - len(broken)}"
    )
    turned = "; ".join(f"{pair.one} above {pair.other} in {pair.ahead} of {pair.rows}" for pair in broken)
    notes = [
        f"mIoU on test, percent, at {order.rows[0].shown}; in brackets the place among the row's networks.",
        f"{text}{f'. Not so: {turned}' if turned else ''}.",
    ]
    apart = {name: _seeds_apart(order, name) for name in order.networks}
    told = {name: gap for name, gap in apart.items() if gap is not None}
    if told:
        gaps = ", ".join(f"{name} {gap:.2f}" for name, gap in told.items())
        notes.append(f"Between seeds of the same initial weights lie, at most, so many points of mIoU: {gaps}.")
    return notes


def _seeds_apart(order: Order, network: str) -> float | None:
    scores: dict[str, list[float]] = {}
    for row in order.rows:
        if network in row.scores:
            scores.setdefault(row.weights, []).append(row.scores[network])
    return max((max(each) - min(each) for each in scores.values() if len(each) > 1), default=None)


def order_section(order: Order) -> list[str]:
    """The part of the page on one protocol."""
    group, mark = order.groups[0], reduced_mark(order.groups[0])
    return [
        f"### Does the order hold over seeds and initial weights? {group.protocol.title} on {group.variant}, "
        f"{group.computed}\n",
        f"**{mark}**\n" if mark else "",
        markdown(order_text(order), text_columns=2),
        listing(order_notes(order)),
    ]
