"""Exported models against torch: every architecture in every format, and what can't be exported as a row."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import architectures
from architectures import fcn8s
from harness.cli.export import export as export_command
from harness.deploy.export import FORMATS, Exported, WithCodes, call_of, check_free, export, has_codes
from harness.deploy.parity import Val, equal_share, noise, split_of, val_of, why_no_val
from harness.deploy.weights import build, drawn, find
from harness.metrics import scores
from harness.system.errors import UserError
from tests.harness.commands import harness
from tests.harness.deploy.conftest import Trained

NO_VAL = Val(why_not="drawn weights")
# These are made of the operators of others, and of no further ones.
ALIKE = {"fcn8s-bilinear", "segnet-basic-encoder-addition", *(n for n in architectures.names() if "fcn-basic-no" in n)}
# Of other libraries the decoders of the suite `modern`, with small encoders.
ELSEWHERE = [
    *(f"smp:{decoder}/resnet18" for decoder in ("Unet", "FPN", "DeepLabV3Plus", "UPerNet")),
    "smp:Segformer/mit_b0",
    *(f"torchvision:{decoder}_mobilenet_v3_large" for decoder in ("deeplabv3", "lraspp")),
]


def exported(name: str, kind: str, output: Path, dynamic: bool, size: tuple[int, int] = (64, 96)) -> Exported:
    if kind == "openvino":
        pytest.importorskip("openvino", reason="needs `make extras`")
    least = architectures.info(name).min_size
    source = drawn(name, (max(size[0], least), max(size[1], least)), 5)
    return export(source, build(source), kind, output, dynamic=dynamic, val=NO_VAL)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_computes_what_torch_does(kind: str, tmp_path: Path) -> None:
    done = exported("segnet-basic", kind, tmp_path, dynamic=False, size=(32, 40))
    assert done.failure is None and done.parity is not None and done.file is not None
    assert done.parity.equal_labels > 0.999
    assert done.parity.largest_difference < 1e-3 * done.parity.logits_deviation
    assert done.parity.miou_before.reason == "drawn weights"
    sidecar = json.loads((tmp_path / f"{done.file}.json").read_text())
    assert sidecar["parity"]["equal_labels"] == done.parity.equal_labels and sidecar["config"]["architecture"]
    files = [path for path in tmp_path.iterdir() if not path.name.endswith(".json")]
    assert done.file_bytes == sum(path.stat().st_size for path in files)
    assert {path.stem for path in files} == {"segnet-basic"}
    with pytest.raises(UserError, match="is there already"):
        check_free([drawn("segnet-basic", (32, 40), 5)], [kind], tmp_path, dynamic=False)  # type: ignore[list-item]


# OpenVINO converts the graph of ONNX, whose export takes long; for torch's own graphs see below
@pytest.mark.parametrize("kind", ["onnx", pytest.param("openvino", marks=pytest.mark.slow)])
def test_a_dynamic_file_takes_other_sizes(kind: str, tmp_path: Path) -> None:
    done = exported("fcn-basic", kind, tmp_path, dynamic=True, size=(32, 48))
    assert done.failure is None and done.parity is not None and done.parity.sizes == ((32, 48), (45, 70))
    assert done.parity.equal_labels > 0.999
    source = drawn("fcn-basic", (32, 48), 5)
    images = noise(1, (50, 33))
    ours = build(source)(torch.from_numpy(images)).numpy()
    theirs = call_of(kind, tmp_path / str(done.file), 1)(images)[0]  # type: ignore[arg-type]
    assert np.abs(ours - theirs).max() < 1e-3 * ours.std()


def test_what_cannot_be_exported_is_a_row_with_its_reason(tmp_path: Path) -> None:
    done = exported("deconvnet", "onnx", tmp_path, dynamic=True)
    assert done.failure is not None and "one size only" in done.failure and done.parity is None
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(name for name in architectures.names() if name not in ALIKE), *ELSEWHERE])
def test_every_architecture_at_its_size(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcn8s, "FEATURES", 64)
    done = exported(name, "onnx", tmp_path, dynamic=False)
    assert done.failure is None, done.failure
    assert done.parity is not None and done.parity.logits_deviation > 0
    assert done.parity.equal_labels > 0.99, done.parity


@pytest.mark.slow
def test_graphs_of_torch_for_any_size(tmp_path: Path) -> None:
    done = exported("segnet-basic", "torch-export", tmp_path, dynamic=True)
    assert done.failure is None and done.parity is not None, done.failure
    assert done.parity.equal_labels > 0.99, done.parity


def test_codes_come_beside_the_logits() -> None:
    source = drawn("segnet-basic", (32, 40), 5)
    model = build(source)
    images = torch.from_numpy(noise(1, (32, 40)))
    logits, *codes = WithCodes(model)(images)
    assert torch.equal(logits, model(images)) and has_codes(model)
    assert [tuple(one.shape) for one in codes] == [(1, 64, -(-32 // s), -(-40 // s)) for s in (2, 4, 8, 16)]
    assert all(one.dtype == torch.uint8 and one.max() <= 3 for one in codes)
    assert not has_codes(build(drawn("fcn-basic", (32, 40), 5)))


def test_the_share_of_equal_values() -> None:
    pairs = [(np.array([1, 2, 3]), np.array([1, 2, 0])), (np.array([5]), np.array([5]))]
    assert equal_share(pairs) == 0.75


def test_miou_is_the_evaluators(trained: Trained) -> None:
    source = find(trained.run_id, trained.results, trained.work)
    val = val_of(source, build(source), None, trained.work)
    assert source.record is not None
    (evaluation,) = [one for one in source.record.record.evaluations if one.split == "val"][:1]
    assert val.before == pytest.approx(100 * scores(source.record.matrices(evaluation).sum(0)).miou)
    assert why_no_val(drawn("segnet", (32, 32), 5), "data") == "the weights are drawn, not trained"
    changed = find(str(trained.weights), Path("none"), Path("none"))
    changed = type(changed)(
        name="a", config=changed.config.model_copy(update={"dataset_sha256": "0" * 64}), weights=changed.weights
    )
    with pytest.raises(UserError, match="is not what a was trained on"):
        split_of(changed, "val", None, trained.work)


@pytest.mark.parametrize("there", ["segnet.pt2", "segnet.onnx.json"])
def test_what_is_there_is_found_before_a_model_is_built(
    there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / there).write_bytes(b"")
    built: list[str] = []
    monkeypatch.setattr("harness.deploy.weights.build", lambda source: built.append(source.name))
    with pytest.raises(UserError, match=f"{there} is there already"):
        export_command(["fcn-basic", "segnet"], ["onnx", "torch-export"], output=tmp_path, results=tmp_path / "none")
    assert not built and [path.name for path in tmp_path.iterdir()] == [there]


@pytest.mark.slow
def test_the_command(trained: Trained, tmp_path: Path) -> None:
    where = ["--results", str(trained.results), "--work", str(trained.work), "--threads", "1"]
    to_file = ["--format", "torch-export", "--output", str(tmp_path / "out"), *where]
    done = harness("export", str(trained.weights), *to_file)
    assert done.returncode == 0 and "100.0000%" in done.stdout, done.stderr
    assert (tmp_path / "out" / "weights.pt2.json").exists()
    done = harness("export", "pixel-mlp", "deconvnet", "--size", "32x32", "--dynamic", *to_file)
    assert done.returncode == 1 and "one size" in done.stdout, done.stderr  # DeconvNet takes one size alone
    assert (tmp_path / "out" / "pixel-mlp-dynamic.pt2.json").exists()
