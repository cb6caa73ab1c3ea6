"""Fixtures: results made up by code, and the reports made of them."""

from pathlib import Path

import pytest

from harness.config.protocol import Protocol, load_protocol
from harness.config.run_spec import InitialWeights
from harness.records.run import Failure
from harness.report.write import write_reports
from tests.conftest import MakeOnce
from tests.harness.report.made_up import Store

PART_OF_VGG = InitialWeights(kind="file", sha256="ab" * 32, title="VGG16 conv1-conv3")
LAYERS = ("conv1_1", "conv1_2", "conv2_1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty results folder."""
    return Store(results=tmp_path / "results")


@pytest.fixture
def camvid() -> Protocol:
    """The CamVid suite's protocol."""
    return load_protocol("camvid-epochs@2")


@pytest.fixture
def decoders() -> Protocol:
    """The decoders suite's protocol; `override` makes its other class_weighting."""
    return load_protocol("decoders@2")


@pytest.fixture
def quick() -> Protocol:
    """The quick suite's protocol."""
    return load_protocol("quick@2")


def fill(store: Store) -> None:
    """Full and reduced groups, several seeds, a failed and an unreadable run, measurements, drawn data."""
    camvid, quick = load_protocol("camvid-epochs@2"), load_protocol("quick@2")
    for seed in (0, 1):
        store.pictures("segnet", camvid, accuracy=0.7, seed=seed, weights=PART_OF_VGG, layers=LAYERS)
    store.pictures("deconvnet", camvid, accuracy=0.6, weights=PART_OF_VGG, layers=LAYERS)
    failed = store.spec("deconvnet", protocol=camvid, seed=1, weights=PART_OF_VGG)
    store.failed(failed, Failure(kind="oom", message="OOM at batch 5", iteration=7))
    reduced = camvid.override({"size": "90x120", "iterations": "300"})
    store.pictures("fcn8s", reduced, accuracy=0.4)
    broken = store.results / "runs" / "segnet-camvid-s9-deadbeef"
    broken.mkdir(parents=True)
    (broken / "record.json").write_text("{}", "utf-8")
    for name in ("segnet", "deconvnet"):
        store.pictures(name, quick, accuracy=0.5)
        store.measurement(name, model_size_mb=117.8 if name == "segnet" else 877.0)
        store.measurement(name, size=(48, 64), backward_ms=None)


@pytest.fixture(scope="session")
def example(made_once: MakeOnce) -> Path:
    """Folder with `results/` and the `reports/` made of them."""

    def make(folder: Path) -> None:
        folder.mkdir()
        store = Store(results=folder / "results")
        fill(store)
        write_reports(store.results, folder / "reports")

    return made_once("example-of-reports", make)
