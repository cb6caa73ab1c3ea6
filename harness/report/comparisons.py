"""Pages of what stands apart from suites: index storages, the PyTorch baseline, other runtimes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from harness.records.store import Record, Shelf
from harness.report.render import render
from harness.report.tables.render import csv


def comparison_files(
    shelf: Shelf[Record],
    results: Path,
    page: Callable[[list[Record]], dict[str, Any]],
    frame: Callable[[list[Record]], pd.DataFrame],
    order: Callable[[Record], Any] | None = None,
) -> dict[str, bytes]:
    """README.md and a CSV file, by name; empty where there is no record. Damaged records are named.

    Args:
        shelf: the records; its name is that of the template and of the CSV file.
        results: the results folder.
        page: what the template shows of the records, besides `unreadable`.
        frame: what the CSV file holds of them.
        order: of the records; none: by path.
    """
    damaged: list[str] = []
    records = shelf.load(results, damaged.append)
    if order is not None:
        records.sort(key=order)
    if not records and not damaged:
        return {}
    unreadable = [line.replace(f"{results}/", "") for line in damaged]
    files = {"README.md": render(f"{shelf.name}.md.j2", **page(records), unreadable=unreadable).encode()}
    return files | ({f"{shelf.name}.csv": csv(frame(records)).encode()} if records else {})
