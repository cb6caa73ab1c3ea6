"""Options of the comparison with the PyTorch baseline; without `--performance` it is skipped."""

import os
from pathlib import Path

import pytest

from harness.config.protocol import parse_size
from tests.benchmarks.recorder import Options, Recorder

ROOT = Path(__file__).resolve().parent.parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("performance", "comparison with the PyTorch baseline")
    group.addoption("--performance", choices=("full", "small"), help="compare, at 360x480 or at 90x120")
    group.addoption("--performance-device", choices=("cpu", "cuda"), default="cpu", help="of networks")
    group.addoption("--performance-only", default="", help="names of entries, with commas between them")
    group.addoption("--performance-results", type=Path, help="folder of the record; default: results")
    group.addoption("--performance-data-root", type=Path, help="folder that holds CamVid")
    group.addoption("--performance-weights", type=Path, help="of a trained SegNet, for predictions to score")
    group.addoption("--performance-weights-size", default="360x480", help="input size of its training")


@pytest.fixture(scope="session")
def recorder(request: pytest.FixtureRequest) -> Recorder:
    """Keeps the record of this session."""
    config = request.config
    # unknown where pytest was started further up, for then this file's options came too late
    chosen = config.getoption("--performance", default=None)
    if chosen is None:
        pytest.skip("compared by `make performance` and `make performance-check`")
    data_root = config.getoption("--performance-data-root") or default_data_root()
    if data_root is None:
        pytest.fail("no CamVid found: name its folder with --performance-data-root", pytrace=False)
    weights = config.getoption("--performance-weights")
    return Recorder(
        Options(
            small=chosen == "small",
            device=config.getoption("--performance-device"),
            data_root=data_root.resolve(),
            records=ROOT / "results",
            results=config.getoption("--performance-results") or ROOT / "results",
            work=ROOT / "work" / "performance",
            weights=None if weights is None else weights.resolve(),
            weights_size=parse_size(config.getoption("--performance-weights-size")),
        )
    )


def default_data_root() -> Path | None:
    """SEGNET_DATA_ROOT, else `../shared/data` or `data`, whichever holds CamVid."""
    named = os.environ.get("SEGNET_DATA_ROOT")
    candidates = [Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT / "data"]
    return next((folder for folder in candidates if (folder / "CamVid").is_dir()), None)
