"""The work of a run, counted from its protocol: images through the network, evaluations, bytes it writes.

Follows `harness.training.trainer`: what is scored when, and what goes into a checkpoint.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.costs.counts import Counts
from harness.report.costs.matrix import PlannedRun

CHECKPOINT_EVERY_S = 600.0  # as in harness.training.trainer, which imports torch
FLOAT_BYTES = 4
# Tensors of the parameters' size that an optimizer keeps: SGD its momentum, AdamW two moments.
OPTIMIZER_STATES = {"sgd": 1, "adamw": 2}


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run does, at most: scoring the best iteration apart is counted, though it may be a tested one.

    trained: images through forward and backward pass.
    scored: images through a forward pass alone, re-estimation of batch-norm statistics included.
    tested: of these, test images, whose BF is scored.
    recorded: images whose scores stay in the record.
    evaluations: points at which a checkpoint is written, however short the run.
    refilled: images of one re-estimation: the training split, its last batch filled up.
    """

    trained: int
    scored: int
    tested: int
    recorded: int
    evaluations: int
    refilled: int


def work_of(run: PlannedRun) -> Work:
    """The work of a run that trains to its protocol's last iteration."""
    protocol, splits = run.protocol, run.splits
    points = protocol.evaluation_points()
    tests = set(protocol.report_at.values())
    test = splits["test"] if protocol.score_test else 0
    once = splits["val"] + test
    # test at the best iteration is due unless that one was tested anyway; train is scored there if asked for
    apart = once if set(points) - tests else 0
    apart += splits["train"] if protocol.score_train_selected else 0
    last = splits["train"] if protocol.score_train and protocol.iterations in points else 0
    refilled = math.ceil(splits["train"] / protocol.batch_size) * protocol.batch_size
    return Work(
        trained=protocol.iterations * protocol.batch_size,
        scored=len(points) * (refilled + splits["val"]) + len(tests) * test + last + apart,
        tested=(len(tests) + bool(set(points) - tests)) * test,
        recorded=len(tests) * once + last + apart,
        evaluations=len(points),
        refilled=refilled,
    )


def training_flop(work: Work, counts: Counts) -> float:
    """Floating-point operations of training, 2 a multiply-accumulate."""
    return 2e9 * counts.training_gmacs * work.trained


def scoring_flop(work: Work, counts: Counts) -> float:
    """Floating-point operations of all forward passes that are no training."""
    return 2e9 * counts.gmacs * work.scored


def weights_bytes(counts: Counts) -> int:
    """Of a file of weights; buffers of batch norm, well under 1 %, are left out."""
    return FLOAT_BYTES * counts.parameters


def checkpoint_bytes(run: PlannedRun, work: Work, counts: Counts) -> int:
    """Of the last and largest checkpoint: weights, optimizer state, and the scores of images so far."""
    copies = 1 + OPTIMIZER_STATES[run.protocol.optimizer]
    matrices = work.recorded * run.num_classes**2 * FLOAT_BYTES
    boundary = work.tested * run.num_classes * FLOAT_BYTES
    return copies * weights_bytes(counts) + matrices + boundary


def checkpoints_written(work: Work, duration_s: float) -> int:
    """How many a run of that length writes: one an evaluation, and one every ten minutes."""
    return work.evaluations + int(duration_s // CHECKPOINT_EVERY_S)


def cache_bytes(runs: Sequence[PlannedRun]) -> int:
    """Of the decoded data that the runs read: images (3 bytes a pixel) at each size, labels at full size."""
    entries = {(run.dataset, run.size): run for run in runs}.values()
    return sum(sum(run.splits.values()) * (3 * math.prod(run.size) + math.prod(run.label_size)) for run in entries)
