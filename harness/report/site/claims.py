"""What the page of claims shows, of the claims' frame."""

from collections.abc import Sequence

import pandas as pd

from harness.report.claims import forest_rows
from harness.report.site.quantities import Row, records, rounded, value_or_none

KINDS = {"supported": "good", "mostly supported": "good", "mixed": "warn", "contradicted": "bad"}
_OUTCOMES = ("holds", "against", "noise", "missing", "repeated")


def claims(frame: pd.DataFrame) -> list[Row]:
    """A row a claim: verdict with badge, counts, limits, and every group's comparisons."""
    found = []
    for number in sorted(frame["number"].unique().tolist()):
        own = frame[frame["number"] == number]
        first = records(own)[0]
        groups = [name for name in dict.fromkeys(own["group"].tolist()) if name]
        points = [{"place": at, **row} for at, row in enumerate(records(forest_rows(frame, number)), 1)]
        units = dict.fromkeys(point["unit"] for point in points)
        found.append(
            {
                "number": number,
                "text": first["claim"],
                "source": first["source"],
                "verdict": first["verdict"],
                "kind": KINDS.get(first["verdict"], ""),
                "paper_verdict": first["paper_verdict"],
                "badges": [one for one in first["badges"].split("; ") if one],
                "counts": _counts(own[own["decides"]]),
                "plots": [
                    _plot(number, unit, [one for one in points if one["unit"] == unit], groups) for unit in units
                ],
                "groups": groups,
                "rows": _rows(own, groups),
            }
        )
    return found


def _rows(own: pd.DataFrame, groups: Sequence[str]) -> list[Row]:
    """The comparisons; `point` is the number in the plots of one that is drawn, `place` that of its records."""
    shown = own[own["outcome"] != "repeated"]
    drawn = shown["decides"] & shown["difference"].notna()
    numbers = drawn.cumsum().where(drawn).tolist()
    return [
        {**row, "place": _place(row["group"], groups), "point": "" if point != point else int(point)}
        for row, point in zip(records(shown), numbers, strict=True)
    ]


def _counts(own: pd.DataFrame) -> list[tuple[str, int]]:
    counts = own["outcome"].value_counts().to_dict()
    return [(name, counts[name]) for name in _OUTCOMES if name in counts]


def _place(name: str, groups: Sequence[str]) -> int | None:
    return groups.index(name) + 1 if name in groups else None


def _plot(number: int, unit: str, points: Sequence[Row], groups: Sequence[str]) -> Row:
    """A forest plot of the comparisons in one unit, each with the paper's own difference."""
    comparisons = []
    for row in points:
        among = f" [{_place(row['group'], groups)}]" if len(groups) > 1 else ""
        low, high = row["low"], row["high"]
        ranged = low == low
        comparisons.append(
            {
                "label": f"{row['place']}. {row['comparison']}{among}",
                "short": str(row["place"]),
                "estimate": rounded(row["difference"]),
                "low": rounded(low if ranged else row["difference"]),
                "high": rounded(high if ranged else row["difference"]),
                "interval": f"[{low:.2f}, {high:.2f}]" if ranged else "",
                "paper": value_or_none(row["paper_difference"]),
                "outcome": row["outcome"],
            }
        )
    return {"id": f"{number}-{unit}", "unit": unit, "comparisons": comparisons}
