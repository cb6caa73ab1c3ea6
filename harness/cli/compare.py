"""What `compare` does, apart from parsing: prints the tables and returns the exit code. Imports no torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.config.suite import load_suite, suite_names
from harness.paper.claims import Sample
from harness.report.compare import Line, Pair, Winner, compare
from harness.report.groups import BLOCK, title
from harness.report.tables import signed
from harness.report.wording import group_title, reduced_mark

_HIGHER: Mapping[Winner, str] = {"first": "A", "second": "B", "tie": "tie", "unknown": "n/a"}


def compare_command(first: str, second: str, suites: Sequence[str] | None, results: Path) -> int:
    """`compare`.

    Raises:
        UserError: unknown suite, or networks that can't be compared.
    """
    for name in suites or ():
        load_suite(name)
    pairs = compare(results, first, second, suites or suite_names())
    console = Console()
    for pair in pairs:
        console.print(_head(pair), highlight=False, markup=False, soft_wrap=True)
        console.print(_who(pair, title(first), title(second)), highlight=False, markup=False, soft_wrap=True)
        console.print(_table(pair), highlight=False)
    for note in _notes(pairs):
        console.print(note, highlight=False, markup=False, soft_wrap=True)
    return 0


def _head(pair: Pair) -> str:
    mark = reduced_mark(pair.group)
    return f"{group_title(pair.group)}{f'; {mark}' if mark else ''}"


def _who(pair: Pair, first: str, second: str) -> str:
    line = pair.lines[0]
    named = (("A", first, line.first), ("B", second, line.second))
    return ", ".join(f"{letter}: {name} (seeds: {len(sample.values)})" for letter, name, sample in named)


def _table(pair: Pair) -> Table:
    table = Table("checkpoint", "score, %")
    for head in ("A", "B", "A − B", "95 % interval", "higher"):
        table.add_column(head, justify="right")
    for line in pair.lines:
        estimate = line.first.mean - line.second.mean
        figures = (_figure(line.first), _figure(line.second), signed(estimate), _interval(line))
        table.add_row(line.checkpoint, line.metric, *figures, _HIGHER[line.winner])
    return table


def _figure(sample: Sample) -> str:
    return f"{sample.mean:.2f}" if sample.std is None else f"{sample.mean:.2f} ± {sample.std:.2f}"


def _interval(line: Line) -> str:
    gap = line.difference
    return f"n/a: {line.reason}" if gap is None else f"{signed(gap.low)} to {signed(gap.high)}"


def _notes(pairs: Sequence[Pair]) -> list[str]:
    found = {line.difference.by for pair in pairs for line in pair.lines if line.difference}
    notes = []
    if "seeds" in found:
        notes.append(
            "several seeds of both: Welch's t interval, of a network and its refined output the paired one; "
            "±: standard deviation over seeds (sample, n − 1)."
        )
    if "images" in found:
        notes.append(
            f"one seed: paired bootstrap over blocks of {BLOCK} neighboring frames; it holds the "
            "choice of test images, not what another seed of training would change."
        )
    return notes
