"""The page of the paper's claims, at most 200 lines: a row a claim, then the evidence of each in short."""

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import Any

import pandas as pd

from harness.metrics.bootstrap import BLOCK, DRAWS
from harness.metrics.significance import PROCESS_MARGIN, PROCESSES, SPREADS
from harness.paper.verdicts import (
    MOSTLY_AGAINST,
    MOSTLY_HOLD,
    SUPPORTED_HOLD,
    ClaimResult,
    Counts,
    count,
    count_outcomes,
)
from harness.report.render import render
from harness.report.tables.render import heading_link, signed, significant

LINES = 200
# Rows of a claim's table, at most; fewer where the page would be longer than LINES.
_ROWS = 12


def claims_page(results: Sequence[ClaimResult], frame: pd.DataFrame) -> str:
    """`claims.md`, of `claims_frame`."""
    names = dict.fromkeys(frame.loc[frame["decides"], "group"])
    letters = dict(zip(names, _letters(), strict=False))
    for rows in range(_ROWS, 0, -1):
        page = render(
            "claims.md.j2",
            claims=[_claim(one, frame, letters, rows) for one in results],
            groups=letters,
            block=BLOCK,
            draws=DRAWS,
            spreads=SPREADS,
            processes=PROCESSES,
            margin=100 * PROCESS_MARGIN,
            supported=SUPPORTED_HOLD,
            mostly=MOSTLY_HOLD,
            against=MOSTLY_AGAINST,
        )
        if page.count("\n") <= LINES:
            break
    return page


def _claim(one: ClaimResult, frame: pd.DataFrame, letters: dict[str, str], rows: int) -> dict[str, object]:
    """What the template shows of a claim, with so many rows of evidence at most."""
    of_claim = frame[frame["number"] == one.claim.number]
    own = of_claim[of_claim["decides"] & (of_claim["outcome"] != "repeated")]
    verdicts = {letters[each.group.name]: each.counts.verdict for each in one.deciding}
    return {
        "number": one.claim.number,
        "text": one.claim.text.rstrip("."),
        "link": heading_link(f"{one.claim.number}. {one.claim.text.rstrip('.')}"),
        "rule": one.claim.rule,
        "source": one.claim.table.replace("table", "Table "),
        "verdict": one.verdict,
        "by_group": verdicts if len(set(verdicts.values())) > 1 else {},
        "counts": counted_words(one.counts),
        "badges": _badges(one, letters),
        "reason": one.reason,
        "paper": f"{one.paper_verdict}, {counted_words(count(one.paper))}",
        "failing": [finding.words for finding in one.paper if finding.outcome != "holds"],
        "singly": len(own) <= rows,
        "rows": _single(own, letters) if len(own) <= rows else _joined(own, letters, rows),
    }


def _badges(one: ClaimResult, letters: dict[str, str]) -> list[str]:
    """What limits the verdict; with the letters of the groups where it is not all that decide."""
    found = []
    for text in one.limitations:
        limited = [letters[each.group.name] for each in one.deciding if text in each.limitations]
        found.append(text if len(limited) == len(one.deciding) else f"{', '.join(limited)}: {text}")
    return found


def counted_words(counts: Counts) -> str:
    """`4 hold, 2 against`; what there is none of is left out, and so is what is missing of others that are there."""
    named = [(counts.holds, "hold"), (counts.against, "against"), (counts.noise, "within noise")]
    if not counts.judged:
        named.append((counts.missing, "not measured"))
    return ", ".join(f"{number} {word}" for number, word in named if number) or "–"


def _letters() -> Iterator[str]:
    for first in ("", *ascii_uppercase):
        for letter in ascii_uppercase:
            yield first + letter


def _single(own: pd.DataFrame, letters: dict[str, str]) -> list[dict[str, str]]:
    """A row a comparison."""
    return [
        {
            "group": letters[row["group"]],
            "comparison": row["comparison"] + (f" ({row['unit']})" if row["unit"] != "%" else ""),
            "here": _here(row),
            "paper": _signed(row["paper_difference"], row["unit"]),
            "outcome": {"noise": "within noise", "missing": "n/a"}.get(row["outcome"], row["outcome"]),
        }
        for row in own.to_dict("records")
    ]


def _here(row: dict[Any, Any]) -> str:
    if pd.isna(row["difference"]):
        return str(row["reason"])
    text = _signed(row["difference"], row["unit"])
    if not pd.isna(row["low"]):
        text += f" [{_signed(row['low'], row['unit'])}, {_signed(row['high'], row['unit'])}]"
    if row["beside"]:
        text += f"; {row['beside'].replace('_', ' ')} {row['beside_first']:,.4g} and {row['beside_second']:,.4g}"
    return text


def _joined(own: pd.DataFrame, letters: dict[str, str], rows: int) -> list[dict[str, str]]:
    """A row a group and quantity, or a group where these are too many; what is left over is in the CSV."""
    named = own["quantity"].str.replace("_", " ")
    own = own.assign(compared=named.where(own["than"].isna() | own["than"].eq(""), named + " less another score"))
    by = ["group", "compared"] if own.groupby(["group", "compared"]).ngroups <= rows else ["group"]
    found = []
    for _, part in own.groupby(by, sort=False):
        units = list(dict.fromkeys(part["unit"]))
        found.append(
            {
                "group": letters[part["group"].iloc[0]],
                "comparison": ", ".join(dict.fromkeys(part["compared"])),
                "here": _range(part["difference"], units),
                # of what was compared here alone, so that the two ranges are over the same pairs
                "paper": _range(part.loc[part["difference"].notna(), "paper_difference"], units),
                "outcome": counted_words(count_outcomes(part["outcome"])),
            }
        )
    return found[:rows]


def _range(values: pd.Series, units: list[str]) -> str:
    there = values.dropna()
    if there.empty or len(units) > 1:
        return "–"
    return f"{_signed(there.min(), units[0])} to {_signed(there.max(), units[0])}"


def _signed(value: float, unit: str) -> str:
    if pd.isna(value):
        return "–"
    return signed(value) if unit == "%" else f"{'−' if value < 0 else '+'}{significant(abs(value), 3)}"
