"""`site`: static pages of all results. Imports no torch."""

from pathlib import Path
from typing import Annotated

from harness.cli.options import DEFAULT_RESULTS, DataRoot, Results, Suites, folder
from harness.system.console import say, status, terminal

Out = Annotated[Path, folder("Folder of the site; an earlier one there is replaced.")]


def site(
    results: Results = DEFAULT_RESULTS, out: Out = Path("site"), data_root: DataRoot = None, suite: Suites = None
) -> None:
    """Make the site, and print where it is."""
    from harness.report.site.build import write_site

    console = terminal()
    with status(console, "making the site"):
        page = write_site(results, out, data_root, suite)
    say(console, f"site: {page}")
