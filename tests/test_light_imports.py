"""What must answer at once imports nothing heavy, each in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TORCH_FREE = (
    "import harness.records.measurement, harness.records.estimate, harness.profiling, harness.system.environment",
    "from harness.config.losses import LOSSES",
    "[LOSSES[name].splits for name in LOSSES]",
)
DATASETS = ("import datasets, datasets.cache, datasets.check", "[datasets.info(name) for name in datasets.names()]")
ARCHITECTURES = (
    "import architectures",
    "assert [architectures.info(name).title for name in architectures.names()]",
    "architectures.info('smp:Unet/resnet34'), architectures.info('torchvision:fcn_resnet50')",
)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        (("import harness",), "torch pandas numpy typer"),
        (("import harness.metrics",), "torch pandas matplotlib"),
        (TORCH_FREE, "torch"),
        (DATASETS, "torch requests h5py scipy rich harness architectures"),
        (ARCHITECTURES, "torch timm torchvision segmentation_models_pytorch"),
    ],
    ids=["harness", "metrics", "records and config", "datasets", "architectures"],
)
def test_nothing_heavy_is_imported(code: tuple[str, ...], heavy: str) -> None:
    lines = ["import sys", *code, f"print(sorted({set(heavy.split())} & set(sys.modules)))"]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
