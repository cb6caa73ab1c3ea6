"""A place to harm the harness in, and what it leaves when nothing harms it."""

from pathlib import Path

import pytest

from tests.conftest import MakeOnce
from tests.faults.processes import Place, harness, tiny


def prepared(folder: Path, cache: Path) -> Place:
    """A place whose work folder holds the drawn scenes already."""
    cache.mkdir(exist_ok=True)
    place = Place(folder=folder)
    place.work.mkdir(parents=True)
    (place.work / "cache").symlink_to(cache)
    return place


@pytest.fixture(scope="session")
def undisturbed(made_once: MakeOnce, drawn_cache: Path) -> Place:
    """Where the run of `tiny` was trained without any fault."""

    def make(folder: Path) -> None:
        done = harness(*tiny(), cwd=prepared(folder, drawn_cache).folder)
        assert done.returncode == 0, done

    return Place(folder=made_once("undisturbed", make))


@pytest.fixture
def place(tmp_path: Path, drawn_cache: Path) -> Place:
    """A place where nothing was trained yet."""
    return prepared(tmp_path, drawn_cache)
