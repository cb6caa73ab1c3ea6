"""Folders of weights: what lies in them, their way to the Hub and back into training."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

import architectures
from architectures.architecture_info import EncoderMismatch
from harness.config.initial_weights import fitted, resolve
from harness.config.protocol import load_protocol
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.deploy.cards import card_values, run_scores
from harness.deploy.weights import CONFIG, WEIGHTS, build, find
from harness.metrics import scores
from harness.system.errors import UserError
from harness.training.model import build_network
from tests.harness.commands import assert_one_line, harness
from tests.harness.deploy.conftest import Trained
from tests.harness.helpers import spec, tiny_protocol


def test_a_folder_builds_the_model_again(trained: Trained) -> None:
    model = build(find(str(trained.weights), Path("none"), Path("none")))
    for name, tensor in trained.run.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    config = json.loads((trained.weights / CONFIG).read_text())
    assert config["architecture"] == "segnet-basic" and config["image_size"] == [32, 40]
    assert len(config["classes"]) == len(config["colors"]) == 11 and config["run_id"] == trained.run_id
    with safe_open(trained.weights / WEIGHTS, "pt") as file:
        assert file.metadata()["format"] == "pt"


def test_the_card_has_the_runs_scores(trained: Trained) -> None:
    source = find(trained.run_id, trained.results, trained.work)
    assert source.record is not None
    found = run_scores(source.record, source.config.iteration)
    evaluation = next(one for one in source.record.record.evaluations if one.split == "test")
    whole = scores(source.record.matrices(evaluation).sum(0))
    (miou,) = [one for one in found if (one.split, one.name) == ("test", "mIoU")]
    assert miou.value == pytest.approx(100 * whole.miou) and miou.images == evaluation.images
    assert miou.low is not None and miou.high is not None and miou.low <= miou.value <= miou.high
    head, _, body = (trained.weights / "README.md").read_text().removeprefix("---\n").partition("\n---\n")
    values = yaml.safe_load(head)
    assert values["pipeline_tag"] == "image-segmentation" and values["datasets"] == ["roads"]
    metrics = {
        (one["dataset"]["split"], metric["type"]): metric["value"]
        for one in values["model-index"][0]["results"]
        for metric in one["metrics"]
    }
    assert metrics["test", "mean_iou"] == pytest.approx(miou.value, abs=0.005)
    assert f"{miou.value:.2f}" in body and "| lr | " in body and f"{miou.low:.2f} to {miou.high:.2f}" in body


def test_a_folder_has_no_card_of_its_own(trained: Trained) -> None:
    with pytest.raises(UserError, match="name it, with its --results"):
        card_values(find(str(trained.weights), Path("none"), Path("none")), Path("none"))


def test_damaged_folders_are_named(trained: Trained, tmp_path: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        (tmp_path / name).write_bytes((trained.weights / name).read_bytes())
    (tmp_path / WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(UserError, match="damaged, or not of segnet-basic"):
        build(find(str(tmp_path), Path("none"), Path("none")))
    (tmp_path / CONFIG).write_text("{}")
    with pytest.raises(UserError, match="can't be read"):
        find(str(tmp_path), Path("none"), Path("none"))


# -- into training -------------------------------------------------------------------------------------------


def job(trained: Trained, architecture: str, path: Path, **changes: str) -> WorkerJob:
    (given,) = resolve([str(trained.weights)])
    weights = fitted(architectures.info(architecture), [given])
    run = spec(architecture=architecture, initial_weights=weights, protocol=tiny_protocol(**changes))
    assert given.file is not None
    found = {weights.key: given.file}
    return WorkerJob(spec=run, request=RunRequest(device="cpu", threads=1, results=path, work=path, weights=found))


def test_an_encoder_starts_from_a_folder(trained: Trained, tmp_path: Path) -> None:
    wanted = load_file(trained.weights / WEIGHTS)
    model, layers = build_network(job(trained, "fcn-basic", tmp_path), (32, 40))
    assert layers and all("conv" in name for name in layers)
    state = model.state_dict()
    taken = [name for name in state if name.startswith("encoder.")]
    assert taken and all(torch.equal(state[name], wanted[name]) for name in taken)
    assert "segnet-basic trained on roads" in job(trained, "fcn-basic", tmp_path).spec.initial_weights.title


def test_another_encoder_or_input_is_refused(trained: Trained, tmp_path: Path) -> None:
    given = resolve([str(trained.weights)])
    for name in ("segnet", "pixel-mlp"):
        with pytest.raises(UserError, match="encoder"):
            fitted(architectures.info(name), given)
    with pytest.raises(UserError, match="standardize"):
        build_network(job(trained, "fcn-basic", tmp_path, standardize="false"), (32, 40))
    assert issubclass(EncoderMismatch, ValueError) and load_protocol("quick@2").standardize


# -- to the Hub ----------------------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload needs; files are kept in `received`."""

    received: ClassVar[dict[str, bytes]] = {}
    created: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, values: Any, code: int = 200) -> None:
        data = json.dumps(values).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer({"id": "me/basic", "sha": "0" * 40, "siblings": [], "private": False})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length")
        body = self.rfile.read(int(length)) if length else self._chunks()
        base = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            self.created.append(json.loads(body)["name"])
            self._answer({"url": f"{base}/me/basic", "name": "me/basic"})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(
                {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]}
            )
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.received[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._answer({"commitUrl": f"{base}/me/basic/commit/0", "commitOid": "0" * 40, "success": True})
        else:
            self._answer({})

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_command_writes_and_pushes(trained: Trained, tmp_path: Path, hub: str) -> None:
    folder = tmp_path / "basic"
    arguments = ["weights", trained.run_id, str(folder), "--push", "me/basic"]
    where = ["--results", str(trained.results), "--work", str(trained.work)]
    variables = {"HF_ENDPOINT": hub, "HF_TOKEN": "hf_none", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    done = harness(*arguments, *where, **variables)
    assert done.returncode == 0, done.stderr
    assert Hub.created == ["basic"] and sorted(Hub.received) == ["README.md", CONFIG, WEIGHTS]
    for name, data in Hub.received.items():
        assert data == (folder / name).read_bytes()
    assert_one_line(harness(*arguments, *where), "is there already", "--force")
    gone = harness(*arguments, "--force", *where, **{**variables, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert_one_line(gone, "push to me/basic", "is complete")
