"""A finished run of seconds, the folder of weights made of it, networks that predict, and films."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import harness
from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.deploy.cards import card_values, write_folder
from harness.deploy.predict import Predictor, predictor
from harness.deploy.weights import drawn, find
from harness.records.run import save_run
from harness.report.render import render
from harness.system.environment import environment
from harness.training.progress import RunProgress
from harness.training.run_record import run_record
from harness.training.trainer import Trainer
from tests.harness.commands import link_cache
from tests.harness.helpers import spec


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished run: its folders, its id, and the folder of weights made of it."""

    results: Path
    work: Path
    run_id: str
    weights: Path
    run: Trainer


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, drawn_cache: Path) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    results, work = folder / "results", link_cache(folder / "work", drawn_cache)
    request = RunRequest(device="cpu", threads=1, results=results, work=work)
    job = WorkerJob(spec=spec(architecture="segnet-basic"), request=request)
    progress = RunProgress(Console(quiet=True), "segnet-basic", 4, 2)
    run = Trainer(job, progress, lambda: False)
    torch.manual_seed(0)
    run.prepare()
    run.train()
    run.finish()
    record, files = run_record(run, environment())
    save_run(results, record, files)
    source = find(record.run_id, results, work)
    write_folder(source, folder / "weights", render("model-card.md.j2", **card_values(source, results)), force=False)
    return Trained(results=results, work=work, run_id=record.run_id, weights=folder / "weights", run=run)


@pytest.fixture(scope="module")
def model(trained: Trained) -> Predictor:
    return harness.load_model(trained.weights, device="cpu")


@pytest.fixture(scope="module")
def small() -> Predictor:
    return predictor(drawn("pixel-mlp", (32, 40), 5), "cpu", "fp32")


def film(path: Path, frames: int) -> Path:
    imageio = pytest.importorskip("imageio.v2")
    pytest.importorskip("imageio_ffmpeg")
    path.parent.mkdir(exist_ok=True)
    with imageio.get_writer(path.with_suffix(".mp4"), fps=5, macro_block_size=1) as writer:
        for n in range(frames):
            writer.append_data(np.full((32, 40, 3), 20 * n, np.uint8))
    return path.with_suffix(".mp4").rename(path)
