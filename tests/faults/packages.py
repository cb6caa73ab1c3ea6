"""A copy of the packages, for a test to add a protocol, a suite or an architecture to, as a user does."""

import shutil
from pathlib import Path

from tests.faults.processes import ROOT


def copy_packages(target: Path) -> Path:
    """Copy the three packages into a folder; gives it."""
    for name in ("architectures", "datasets", "harness"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    return target
