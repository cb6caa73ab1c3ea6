"""Readers given files with bytes changed, cut out or put in: a valid result or one of our errors, at once.

Files with a checksum give what was written, or are refused: never something else.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

import architectures
import datasets
from architectures.architecture_info import ArchitectureError
from architectures.encoders.weights import load_encoder_weights
from datasets.cache import open_split
from harness.config.protocol import load_protocol
from harness.records.measurement import read_record, save_measurement
from harness.records.run import load_run
from harness.system.errors import UserError
from harness.training.checkpoint import (
    DamagedWeights,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from tests.datasets.conftest import write_camvid
from tests.faults.fuzzing import bounded, changes, result_of
from tests.harness.profiling.test_record import make_cell, make_record
from tests.harness.report.made_up import Store, blocks, matrix

# -- what carries a checksum --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's record."""
    store = Store(results=tmp_path_factory.mktemp("results"))
    scores = {"end": np.stack([matrix([100] * 11, wrong=7)] * 3)}
    spec = store.spec("segnet", protocol=load_protocol("quick@2"))
    return store.run(spec, scores, image_ids={"test_000": blocks((180, 240), 0)})


def content(folder: Path) -> list[object]:
    stored = load_run(folder)
    stored.check()
    found: list[object] = [stored.record, stored.history()]
    for evaluation in stored.record.evaluations:
        found.append(stored.matrices(evaluation).tobytes())
        found += [stored.boundary(evaluation).tobytes()] if evaluation.boundary else []
    return found


@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("name", ["record.json", "history.json", "scores.npz", "prediction-test_000.png"])
@given(change=changes())
@bounded
def test_records(run_folder: Path, tmp_path: Path, name: str, summed: bool, change: Callable[[bytes], bytes]) -> None:
    folder = tmp_path / run_folder.name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run_folder, folder)
    (folder / name).write_bytes(change((run_folder / name).read_bytes()))
    if not summed:
        (folder / "SHA256SUMS").unlink()
    found = result_of(lambda: content(folder), ValueError, folder)
    assert found is None or found == content(run_folder) or not summed


@given(change=changes())
@bounded
def test_checkpoints(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "checkpoint.pt"
    if not path.exists():
        tensors = {"weights": torch.arange(1000.0), "arrays": {"a": torch.arange(9)}}
        save_checkpoint(path, tensors=tensors, values={"iteration": 3, "history": [[1, 0.5, 0.1]]})
        shutil.copy(path, tmp_path / "whole")
    path.write_bytes(change((tmp_path / "whole").read_bytes()))
    damaged: list[str] = []
    stored = load_checkpoint(path, damaged.append)
    if stored is None:
        assert len(damaged) == 1 and str(path) in damaged[0] and "\n" not in damaged[0]
    else:
        tensors, values = stored
        assert torch.equal(tensors["weights"], torch.arange(1000.0))
        assert torch.equal(tensors["arrays"]["a"], torch.arange(9))
        assert values == {"iteration": 3, "history": [[1, 0.5, 0.1]]}


@given(change=changes())
@bounded
def test_weights_of_a_run(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    torch.manual_seed(0)
    model, path = nn.Conv2d(3, 4, 3), tmp_path / "best.safetensors"
    sha256 = save_weights(path, model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path.write_bytes(change(path.read_bytes()))
    nn.init.zeros_(model.weight)
    if result_of(lambda: load_weights(path, model, sha256) or True, DamagedWeights):
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    result_of(lambda: load_weights(path, model, None), DamagedWeights)  # of which no checksum is known


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "manifest.json"])
@given(change=changes())
@settings(bounded, max_examples=40)  # each decodes the split anew
def test_decoded_data(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    if not (tmp_path / "data").exists():
        write_camvid(tmp_path / "data")
    dataset = datasets.load("camvid", "val", tmp_path / "data")
    whole = open_split(dataset, (4, 5), tmp_path / "cache")
    images, labels = np.array(whole.images), np.array(whole.labels)
    (path,) = (tmp_path / "cache").glob(f"*/val-4x5/{name}")
    path.write_bytes(change(path.read_bytes()))
    found = open_split(dataset, (4, 5), tmp_path / "cache")
    assert np.array_equal(found.images, images) and np.array_equal(found.labels, labels)


# -- what does not ------------------------------------------------------------------------------------------


class Tiny(nn.Module):
    """As much of an architecture as initial weights are put into."""

    info = architectures.info("segnet")  # for its name

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def encoder_layers(self) -> dict[str, nn.Conv2d]:
        return {"conv1_1": self.conv}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@given(change=changes())
@bounded
def test_initial_weights(tmp_path: Path, suffix: str, change: Callable[[bytes], bytes]) -> None:
    from safetensors.torch import save

    state = {"features.0.weight": torch.ones(4, 3, 3, 3), "features.0.bias": torch.zeros(4)}
    path = tmp_path / f"a{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        path.write_bytes(save(state))
    path.write_bytes(change(path.read_bytes()))
    model = Tiny()
    result_of(lambda: load_encoder_weights(model, path), ArchitectureError, path)  # type: ignore[arg-type]
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@given(change=changes())
@bounded
def test_measurements(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = save_measurement(tmp_path, make_record(make_cell()))
    path.write_bytes(change(path.read_bytes()))
    result_of(lambda: read_record(path), UserError, path)
