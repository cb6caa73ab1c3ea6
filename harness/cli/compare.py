"""`compare`: two architectures side by side. Imports no torch."""

from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from harness.cli.options import DEFAULT_RESULTS, Results, Suites
from harness.config.suite import load_suite, suite_names
from harness.metrics.bootstrap import BLOCK
from harness.report.compare import compare
from harness.report.store import title
from harness.report.tables.render import signed
from harness.system.console import say, terminal

_HIGHER = {"first": "A", "second": "B", "": "n/a"}
_NOTE = (
    "95 % interval: bootstrap over the seeds that both have, in pairs, and over blocks of up to {block} neighboring\n"
    "test frames. One seed: over blocks alone, which leaves out what another seed would change."
)


def compare_architectures(
    first: Annotated[str, typer.Argument(help="Architecture.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    suite: Suites = None,
    results: Results = DEFAULT_RESULTS,
) -> None:
    """Print the tables; UserError for an unknown suite, or networks that can't be compared."""
    for name in suite or ():
        load_suite(name)
    frame, console = compare(results, first, second, suite or suite_names()), terminal()
    for (group, reduced), part in frame.groupby(["group", "reduced"], sort=False):
        say(console, f"{group}{f'; {reduced}' if reduced else ''}")
        seeds = part.iloc[0]
        sides = (("A", first, seeds["first_seeds"]), ("B", second, seeds["second_seeds"]))
        say(console, ", ".join(f"{side}: {title(name)} (seeds: {ran})" for side, name, ran in sides))
        console.print(_table(part), highlight=False)
    say(console, _NOTE.format(block=BLOCK))


def _table(part: pd.DataFrame) -> Table:
    """All scores of every checkpoint; the classes of the last one alone."""
    last = part["checkpoint"].iloc[-1]
    table = Table("checkpoint", "score, %")
    for head in ("A", "B", "A − B", "95 % interval", "higher"):
        table.add_column(head, justify="right")
    for row in part.to_dict("records"):
        if row["class"] and row["checkpoint"] != last:
            continue
        interval = f"n/a: {row['reason']}" if row["reason"] else f"{signed(row['low'])} to {signed(row['high'])}"
        table.add_row(
            row["checkpoint"],
            f"{row['metric']} {row['class']}".strip(),
            *(_mean(row[side], row[f"{side}_std"]) for side in ("first", "second")),
            signed(row["difference"]),
            interval,
            _HIGHER.get(row["higher"], row["higher"]),
        )
    return table


def _mean(mean: float, std: float) -> str:
    if pd.isna(mean):
        return "n/a"
    return f"{mean:.2f}" if pd.isna(std) else f"{mean:.2f} ± {std:.2f}"
