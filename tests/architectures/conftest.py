"""Fixtures of the tests of architectures."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared_file() -> Callable[[str], Path]:
    """Path of a file of the shared folder ($SEGNET_SHARED, else ../shared); skips the test without it."""
    folder = Path(os.environ.get("SEGNET_SHARED", ROOT.parent / "shared"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        return path

    return find
