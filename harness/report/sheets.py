"""Sheets: several narrow tables of one device with their notes, from frame to Markdown and LaTeX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from harness.report.tables import latex, listing, markdown, significant

NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the tables that a sheet is split into, since together they are too wide for a page.

    meaning: one line on how to read it.
    """

    title: str
    frame: pd.DataFrame
    meaning: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The tables of one device, ready to be written down.

    file: start of its files' names. notes: lines under the tables, on this device alone. reasons: of each
    `n/a (n)`.
    """

    heading: str
    file: str
    mark: str
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class Footnotes:
    """Reasons for what is n/a, numbered in the order in which they come up."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def mark(self, reason: str) -> str:
        """The mark of a reason, such as `n/a (2)`."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        return f"n/a ({self.reasons.index(reason) + 1})"


@dataclass(kw_only=True)
class Cells:
    """Makes the text cells of a frame of values that has a column `X_reason` beside each X.

    left_out: reason -> what has no value of any network for that reason, and so no column.
    """

    frame: pd.DataFrame
    footnotes: Footnotes
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def networks(self) -> dict[str, list[str]]:
        """The first column."""
        return {"network": list(self.frame["network"])}

    def column(self, name: str, digits: int = 3, show: Callable[[Any], str] | None = None) -> list[str]:
        """A column's cells: values as text, `n/a (n)`, or `not measured`."""
        text = show or (lambda value: significant(value, digits))
        rows = zip(self.frame["status"], self.frame[name], self.frame[f"{name}_reason"], strict=True)
        return [self._cell(status, value, reason, text) for status, value, reason in rows]

    def add(
        self,
        columns: dict[str, list[str]],
        head: str,
        name: str,
        *,
        what: str,
        digits: int = 3,
        show: Callable[[Any], str] | None = None,
    ) -> None:
        """Add a column; where every network lacks it for one reason, note that instead, under `what`."""
        if not self.lacks(name, what):
            columns[head] = self.column(name, digits, show)

    def lacks(self, name: str, what: str) -> bool:
        """Whether every network lacks a figure for one reason, which is then noted under `what`."""
        reasons = self.frame.loc[self.frame["status"] != NOT_MEASURED, f"{name}_reason"]
        if reasons.isna().any() or reasons.nunique() != 1:
            return False
        said = self.left_out.setdefault(str(reasons.iloc[0]), [])
        said += [what] if what not in said else []
        return True

    def left_out_notes(self) -> list[str]:
        """A line for each reason."""
        return [f"n/a for every network: {', '.join(what)}: {why}" for why, what in self.left_out.items()]

    def _cell(self, status: str, value: Any, reason: Any, show: Callable[[Any], str]) -> str:
        if status == NOT_MEASURED:
            return NOT_MEASURED
        return self.footnotes.mark(str(reason)) if pd.isna(value) else show(value)


def sheet_markdown(sheet: Sheet, general: Sequence[str]) -> str:
    """A file of its own."""
    text = [f"# {sheet.heading}\n"] + ([f"**{sheet.mark}**\n"] if sheet.mark else [])
    return "\n".join([*text, *body(sheet, level=2), listing(general)])


def body(sheet: Sheet, level: int) -> list[str]:
    """The tables, the reasons of what is n/a and the notes, in Markdown; heads of the given level."""
    text = []
    for part in sheet.parts:
        meaning = f"{part.meaning}\n\n" if part.meaning else ""
        text.append(f"{'#' * level} {part.title}\n\n{meaning}{markdown(part.frame)}")
    notes = listing([*_reasons(sheet), *sheet.notes])
    return [*text, notes] if notes else text


def _reasons(sheet: Sheet) -> list[str]:
    return [f"n/a ({number}): {reason}" for number, reason in enumerate(sheet.reasons, 1)]


def sheet_latex(sheet: Sheet, general: Sequence[str], label: str) -> str:
    """A table environment a part; what holds for all of them stands under the last."""
    text = []
    for number, part in enumerate(sheet.parts, 1):
        caption = ". ".join(words for words in (f"{sheet.heading}: {part.title}", sheet.mark) if words) + "."
        notes = [part.meaning] if part.meaning else []
        if number == len(sheet.parts):
            notes += [*_reasons(sheet), *sheet.notes, *general]
        text.append(latex(part.frame, caption=caption, label=f"tab:{label}-{number}", notes=notes))
    return "\n".join(text)
