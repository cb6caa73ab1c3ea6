"""Work counted by hand, and against a run that is really made."""

from pathlib import Path

import pytest
import torch
from torch import nn

import datasets
from harness.config.protocol import Protocol, load_protocol
from harness.report.costs.counts import Counts
from harness.report.costs.matrix import PlannedRun
from harness.report.costs.work import (
    CHECKPOINT_EVERY_S,
    cache_bytes,
    checkpoint_bytes,
    checkpoints_written,
    scoring_flop,
    training_flop,
    weights_bytes,
    work_of,
)
from harness.training.run_record import parameter_count
from harness.training.trainer import CHECKPOINT_SECONDS
from tests.harness.helpers import tiny_protocol
from tests.harness.training.test_train import make_run

COUNTS = Counts(parameters=1_000_000, gmacs=100.0, training_gmacs=300.0)


def planned(protocol: Protocol, architecture: str = "segnet") -> PlannedRun:
    info = datasets.info(protocol.dataset)
    return PlannedRun(
        architecture=architecture,
        dataset=info.name,
        num_classes=info.num_classes,
        size=protocol.size or info.size,
        label_size=info.size,
        splits=info.splits,
        protocol=protocol,
        seed=0,
    )


def test_camvid_at_1_by_hand() -> None:
    work = work_of(planned(load_protocol("camvid@2")))
    assert work.trained == 80_000 * 5
    # 40 evaluations of val after re-estimation over 370 (74 batches of 5); test at 40K, 80K and at the best
    # one, val at the best once more; train at the end
    assert work.scored == 40 * (370 + 101) + 2 * 233 + (101 + 233) + 367
    assert work.tested == 3 * 233
    assert work.recorded == 2 * (101 + 233) + (101 + 233) + 367
    assert work.evaluations == 40


def test_camvid_epochs_by_hand() -> None:
    work = work_of(planned(load_protocol("camvid-epochs@2")))
    assert work.trained == 8_600 * 5
    # 2000, 4000, 4280, 6000, 8000, 8560 and the last one, 8600, where train is scored too
    assert work.evaluations == 7
    assert work.scored == 7 * (370 + 101) + 2 * 233 + (101 + 233) + 367


def test_decoders_by_hand() -> None:
    work = work_of(planned(load_protocol("decoders@2")))
    assert work.trained == 10_000 * 12
    # re-estimation over 372 (31 batches of 12); test at the end; val, test and train at the best
    assert work.scored == 10 * (372 + 101) + 233 + (101 + 233) + 367
    assert work.recorded == (101 + 233) + (101 + 233) + 367
    assert work.tested == 2 * 233


def test_without_scoring_test_only_val_counts() -> None:
    work = work_of(planned(load_protocol("recipes@1")))
    assert (work.trained, work.scored, work.tested, work.recorded) == (860 * 5, 370 + 101, 0, 101)


def test_operations_are_two_a_multiply_accumulate() -> None:
    work = work_of(planned(load_protocol("camvid@2")))
    assert training_flop(work, COUNTS) == pytest.approx(2 * 300e9 * 400_000)
    assert scoring_flop(work, COUNTS) == pytest.approx(2 * 100e9 * work.scored)


def test_checkpoints_by_hand() -> None:
    sgd, adamw = planned(load_protocol("camvid@2")), planned(tiny_protocol())
    assert weights_bytes(COUNTS) == 4_000_000
    scores = (3 * (101 + 233) + 367) * 121 * 4 + 3 * 233 * 11 * 4
    assert checkpoint_bytes(sgd, work_of(sgd), COUNTS) == 8_000_000 + scores
    assert adamw.protocol.optimizer == "adamw"
    assert checkpoint_bytes(adamw, work_of(adamw), COUNTS) > 12_000_000
    assert checkpoints_written(work_of(sgd), 599.0) == 40
    assert checkpoints_written(work_of(sgd), 6000.0) == 50


def test_decoded_data_by_hand() -> None:
    full = planned(load_protocol("camvid@2"))
    reduced = planned(load_protocol("camvid@2").override({"size": "90x120"}))
    assert cache_bytes([full, full]) == 701 * 360 * 480 * 4
    assert cache_bytes([full, reduced]) == 701 * (360 * 480 * 4 + 90 * 120 * 3 + 360 * 480)


def test_checkpoints_are_written_as_often_as_training_does() -> None:
    assert CHECKPOINT_EVERY_S == CHECKPOINT_SECONDS


class _Passes:
    """Counts the images that go through a network, with a graph and without."""

    def __init__(self) -> None:
        self.trained = self.scored = 0

    def __call__(self, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            self.trained += len(inputs[0])
        else:
            self.scored += len(inputs[0])


@pytest.mark.slow
def test_a_run_does_the_work_that_is_counted(tmp_path: Path, drawn_cache: Path) -> None:
    # 4 iterations of 2 images, evaluated and tested at 2 and 4, so that the best iteration is a tested one
    values = {**tiny_protocol(eval_interval="2").model_dump(), "report_at": {"half": 2, "end": 4}}
    protocol = Protocol.model_validate(values)
    assert protocol.evaluation_points() == [2, 4]
    run, expected = make_run(tmp_path, drawn_cache, protocol=protocol), planned(protocol)
    passes, work = _Passes(), work_of(expected)
    run.model.register_forward_pre_hook(passes)
    run.train()
    checkpoint = run.job.folder / "checkpoint.pt"
    written = checkpoint.stat().st_size
    run.finish()
    assert (passes.trained, passes.scored) == (work.trained, work.scored)
    assert sum(evaluation.images for evaluation in run.state.evaluations) == work.recorded
    counts = Counts(parameters=parameter_count(run.model), gmacs=1.0, training_gmacs=3.0)
    # beyond weights, optimizer state and scores there are statistics of batch norm, random state and pictures
    assert written / checkpoint_bytes(expected, work, counts) == pytest.approx(1.0, abs=0.005)
    final = (run.job.folder / "final.safetensors").stat().st_size
    assert final / weights_bytes(counts) == pytest.approx(1.0, abs=0.005)
    decoded = [
        path.stat().st_size for split in expected.splits for path in (run.job.cache.glob(f"*/{split}-32x40/*.npy"))
    ]
    assert sum(decoded) - cache_bytes([expected]) == 6 * 128  # headers of the arrays
