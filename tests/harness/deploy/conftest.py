"""A finished run of seconds, and the folder of weights made of it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console

from harness.config.request import RunRequest
from harness.config.worker_job import WorkerJob
from harness.deploy.cards import card_values, write_folder
from harness.deploy.weights import find
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
