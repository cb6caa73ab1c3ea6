"""What all tests share: where the real data lies, if it is there."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def drawn_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder's cache for all tests that train on drawn scenes: drawing them takes seconds."""
    return tmp_path_factory.mktemp("work") / "cache"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the project that holds real CamVid and VGG16 weights."""
    folder = Path(os.environ.get("SEGNET_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "CamVid").is_dir():
        pytest.skip(f"needs the real CamVid in {folder}/data (set SEGNET_SHARED)")
    return folder
