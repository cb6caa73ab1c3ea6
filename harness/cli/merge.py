"""`merge`: results folders of several machines become one."""

import typer

from harness.cli.options import DEFAULT_RESULTS, Results, ResultsFolders, writable
from harness.records import merge as records
from harness.system.console import say, terminal


def merge(folders: ResultsFolders, results: Results = DEFAULT_RESULTS) -> None:
    """Exit code 0, or 1 if a record was refused."""
    console = terminal()
    merged = records.merge(writable(results, "--results"), folders)
    for line in merged.refused:
        say(console, f"REFUSED: {line}")
    say(console, f"{merged.added} records added, {merged.same} were there already, {len(merged.refused)} refused")
    raise typer.Exit(1 if merged.refused else 0)
