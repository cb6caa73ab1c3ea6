"""The result table in the terminal, which `run` ends with."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from harness.config.suite import Suite
from harness.report.collect import collect
from harness.report.sections import Section, heading, sections
from harness.report.store import Store, read_store
from harness.report.tables.overview import TABLE, overview, shown_label, split_of
from harness.report.tables.spec import Table


def print_results(
    results: Path | Store, suites: Sequence[Suite], console: Console, run_ids: Sequence[str] = ()
) -> None:
    """Print a table for each group of the suites: network, mIoU with interval, BF, size, memory and latency.

    Args:
        results: the results folder, or what was read from it.
        suites: what the runs were planned from.
        console: to print to.
        run_ids: only groups that one of these runs is in; none: all.
    """
    store = read_store(results)
    for suite in suites:
        for section in sections(collect(store, suite)):
            records = [record for group in section.groups for record in group.records]
            if not run_ids or {record.run_id for record in records} & set(run_ids):
                console.print(_table(section))


# A terminal is narrow; the page has all of them.
LEFT_OUT = ["seeds", "to the paper †", "energy, J"]


def _table(section: Section) -> RichTable:
    made = Table(spec=TABLE, section=section, frame=overview(section))
    costs = section.costs.heading if section.costs else ""
    scored = f"Scores on {split_of(section)} at {shown_label(section)}"
    reduced = "; ".join(section.group.reduced)
    parts = (scored, costs and f"costs on {costs}", reduced and f"reduced: {reduced}")
    caption = "; ".join(part for part in parts if part)
    table = RichTable(title=heading(section), caption=caption, title_justify="left", caption_justify="left")
    text = made.text.drop(columns=LEFT_OUT, errors="ignore")
    for head in text:
        left = next(column.text for column in made.columns if column.header == head)
        table.add_column(str(head), justify="left" if left else "right", overflow="fold")
    for row in text.itertuples(index=False):
        table.add_row(*(str(cell).replace("**", "") for cell in row))
    return table
