"""Rendering: frames of text cells to Markdown and LaTeX, frames of values to CSV, numbers to text."""

import math
import re
from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

# pdflatex does not know these in text; everything else that a table needs is escaped by pandas.
_LATEX_SIGNS = {"±": r"$\pm$", "−": r"$-$", "–": "--", "×": r"$\times$", "≈": r"$\approx$", "†": r"\dag{}"}


def markdown(frame: pd.DataFrame, text_columns: int = 1) -> str:
    """A pipe table; the first columns flush left, the others right, since they hold numbers."""
    shown = frame.map(_cell)
    shown.columns = [_cell(head) for head in frame.columns]
    align = ["left" if place < text_columns else "right" for place in range(frame.shape[1])]
    made = tabulate(shown.to_dict("list"), "keys", "pipe", colalign=align, disable_numparse=True)
    # not padded: a longer cell would change every line of the file
    return re.sub(r"-{4,}", "---", re.sub(r" {2,}", " ", made)) + "\n"


def _cell(text: object) -> str:
    return " ".join(str(text).replace("|", "\\|").split())


def csv(frame: pd.DataFrame) -> str:
    """Comma-separated values: four digits behind the point, an empty cell for what there is not."""
    return frame.to_csv(index=False, float_format="%.4f", lineterminator="\n")


def latex(frame: pd.DataFrame, *, caption: str, label: str, notes: Sequence[str] = (), text_columns: int = 1) -> str:
    """A `table` environment for the booktabs package, notes under it; a head of two levels spans columns."""
    columns = "l" * text_columns + "r" * (frame.shape[1] - text_columns)
    text = frame.to_latex(
        index=False,
        escape=True,
        column_format=columns,
        caption=_escape(caption),
        label=label,
        multicolumn_format="c",
        position="htbp",
    )
    # Shrunk to the line's width, as the paper's own tables are.
    text = text.replace(r"\begin{tabular}", "\\resizebox{\\linewidth}{!}{%\n\\begin{tabular}")
    text = text.replace(r"\end{tabular}", "\\end{tabular}%\n}" + _notes(notes))
    for sign, command in _LATEX_SIGNS.items():
        text = text.replace(sign, command)
    return "% needs \\usepackage{booktabs,graphicx}\n" + text


def _notes(notes: Sequence[str]) -> str:
    lines = "\n".join(f"{_escape(note.replace('`', '').replace('*', ''))}\\par" for note in notes)
    return f"\n\\par\\smallskip{{\\footnotesize\\raggedright\n{lines}\n}}" if notes else ""


def _escape(text: str) -> str:
    for sign in "&%#_{}$":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("^", r"\^{}")


def percent(value: float) -> str:
    """Two digits, as the paper prints its scores; `–` for what there is not."""
    return "–" if pd.isna(value) else f"{value:.2f}"


def signed(value: float, digits: int = 2) -> str:
    """With a sign, and so many digits behind the point; what is 0 in these digits has no sign."""
    if pd.isna(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def bounds(low: float, high: float) -> str:
    """` [54.9, 59.1]`, behind a score; nothing where there is no interval."""
    return "" if pd.isna(low) else f" [{low:.1f}, {high:.1f}]"


def significant(value: float | None, digits: int = 3) -> str:
    """A measured value with so many digits that count, and a comma between thousands."""
    if value is None or pd.isna(value):
        return "n/a"
    if value == 0:
        return "0"
    before = math.floor(math.log10(abs(value))) + 1  # digits before the point; none and fewer below 0.1
    return f"{value:,.{max(digits - before, 0)}f}"


def heading_link(head: str) -> str:
    """A link to a heading of this page, by GitHub's rule for anchors."""
    kept = "".join(sign for sign in head.lower() if sign.isalnum() or sign in " -_")
    return f"[{head}](#{kept.replace(' ', '-')})"
