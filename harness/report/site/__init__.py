"""The site: static pages made of the records, opened from disk without a server or a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.store import Store


def write_site(
    results: Path | Store, out: Path, data_root: str | None = None, suites: Sequence[str] | None = None
) -> Path:
    """Write the site anew, whole or not at all.

    Args:
        results: the results folder, or what was read from it.
        out: the site's folder; an earlier site there is replaced.
        data_root: folder that holds the datasets, for pictures of test images and their truth, which stay on this
            machine; none: such pictures are made for drawn data only, which is embedded.
        suites: only runs of these; none: all.

    Returns:
        The page to open first.

    Raises:
        UserError: unknown suite, no record at all, a folder that can't be written or that holds something else.
        datasets.DatasetError: `data_root` was given and the data there can't be used.
    """
    from harness.report.site.build import build_site

    return build_site(results, out, data_root, suites)


__all__ = ["write_site"]
