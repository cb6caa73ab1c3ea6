"""Reports: tables, plots and pages made of `results/` alone, the same bytes each time. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.store import Store


def write_reports(
    results: Path | Store, reports: Path, suites: Sequence[str] | None = None, data_root: str | None = None
) -> list[Path]:
    """Write `reports/<suite>/` for every suite that has a record, and what stands over them.

    That is `README.md`, `results.csv`, `measurements.csv`, `claims.md`, `indices/` and `performance/`.

    Args:
        results: the results folder, or what was read from it.
        reports: the reports folder.
        suites: only these; none: all, and what stands over them.
        data_root: folder that holds the datasets, for panels with image and truth, which stay local; none:
            such panels are made for drawn data only, which is embedded.

    Returns:
        The files written, each suite's page first. Empty where there is no record.

    Raises:
        UserError: unknown suite, or a folder that can't be written.
        datasets.DatasetError: `data_root` was given and the data there can't be used.
    """
    from harness.report.write import write_suites

    return write_suites(results, reports, suites, data_root)


__all__ = ["write_reports"]
