"""`report`: tables, plots and pages from the records alone. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.options import DEFAULT_REPORTS, DEFAULT_RESULTS, DataRoot, Reports, Results, Suites, writable
from harness.config.suite import load_suite
from harness.system.console import say, terminal
from harness.system.errors import UserError

if TYPE_CHECKING:
    from harness.report.store import Store


def report(
    suite: Suites = None,
    data_root: DataRoot = None,
    results: Results = DEFAULT_RESULTS,
    reports: Reports = DEFAULT_REPORTS,
) -> None:
    """Write the reports, and print where they are."""
    print_reports(results, reports, suite, data_root)


def print_reports(
    results: Path | Store, reports: Path, suites: list[str] | None = None, data_root: str | None = None
) -> None:
    """Write the reports of these suites (none: all with records), and print where they are.

    Raises:
        UserError: unknown suite, nothing to report, or a folder that can't be written.
    """
    from harness.report.write import write_reports

    console = terminal()
    for name in suites or ():
        load_suite(name)
    written = write_reports(results, writable(reports, "--reports"), suites, data_root)
    if not written:
        folder = results if isinstance(results, Path) else results.results
        raise UserError(f"no records in {folder} to report on; `python -m harness run` makes some")
    for page in written:
        # of a suite's groups its own page has the links
        if page.name in ("README.md", "claims.md") and reports in (page.parent, page.parent.parent):
            say(console, f"report: {page}")
