"""Re-estimation of batch-norm statistics before each evaluation.

The paper re-estimates them by a full pass over the training set. Its script (compute_bn_statistics.py of
SegNet-Tutorial) takes the plain mean of batch means and of biased batch variances over the shuffled training
list, dropout off, at the training batch size. Running averages, torch's default, lag behind the weights and
give other scores. Batches of neighboring video frames would too: they differ less than a training batch does.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.config.run_spec import Precision, RandomStream
from harness.data.split import DeviceDataset
from harness.training.amp import autocast
from harness.training.distributed import SINGLE_PROCESS, Group
from harness.training.sync_batchnorm import SynchronizedBatchNorm2d

BatchNorm = nn.modules.batchnorm._BatchNorm


def statistics_order(seed: int, images: int) -> NDArray[np.int64]:
    """The order (images,) in which the training images are taken: drawn from the protocol's own seed."""
    return np.random.default_rng((RandomStream.STATISTICS_ORDER, seed)).permutation(images).astype(np.int64)


@torch.no_grad()
def reestimate(
    model: nn.Module,
    train: DeviceDataset,
    batch: int,
    precision: Precision,
    on_batch: Callable[[int], None] = lambda images: None,
    group: Group = SINGLE_PROCESS,
    seed: int = 0,
) -> None:
    """Replace running means and variances by those of one pass over the training images.

    Only norms that train are touched: those in evaluation mode while the model trains, and those without
    running statistics, stay as they are. One that is called several times in a pass gets the mean over its
    calls; one that is never called keeps its statistics.

    The images come in one fixed random order; the last batch is filled from its start. Leaves the model in
    evaluation mode. Several processes take whole batches in turn; their statistics are added in the batches'
    order, so that the sums are those of one process to the bit.

    Args:
        model: the network; only its batch-norm buffers change.
        train: training images, not mirrored.
        batch: the protocol's batch size.
        precision: as in training.
        on_batch: called with the number of images done, for progress.
        group: the processes that do it together.
        seed: of the images' order; the protocol's, the same for all runs.
    """
    model.train()
    norms = [module for module in model.modules() if isinstance(module, BatchNorm) and _trains(module)]
    model.eval()
    if not norms:
        return
    passed = _Calls(norms)
    hooks = [norm.register_forward_hook(passed.note) for norm in norms]
    momenta = [norm.momentum for norm in norms]
    # with torch's count of training batches, which the passes made here don't belong to
    buffers = [buffer for norm in norms for buffer in norm.buffers(recurse=False)]
    before = [buffer.clone() for buffer in buffers]
    sums = passed.taken()  # zeros
    try:
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the buffers then hold the statistics of the last call alone
        _set_apart(norms, True)
        order = statistics_order(seed, len(train))
        for turn in group.round_robin_batches(train.in_order(batch, wrap=True, order=order)):
            if turn.own is not None:
                with autocast(precision, train.device):
                    model(train.images(turn.own))
            for statistics in group.all_gather(passed.taken())[: turn.batches]:
                sums += statistics
            on_batch(turn.images)
    finally:
        for buffer, values in zip(buffers, before, strict=True):
            buffer.copy_(values)
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            norm.momentum = momentum
            norm.eval()
            hook.remove()
        _set_apart(norms, False)
    passed.replace(sums)


def _trains(norm: BatchNorm) -> bool:
    """Whether training changes a norm's running statistics; asked while the model is in training mode."""
    return norm.training and norm.running_mean is not None and norm.running_var is not None


def _set_apart(norms: list[BatchNorm], apart: bool) -> None:
    """Whether synchronized layers go by the batch of their own process, which is a whole one here."""
    for norm in norms:
        if isinstance(norm, SynchronizedBatchNorm2d):
            norm.apart = apart


class _Calls:
    """Of each norm its calls' means (C,) and biased variances (C,), summed up, and how many they were; in one row."""

    def __init__(self, norms: list[BatchNorm]) -> None:
        self._sizes = [2 * len(_buffers(norm)[0]) + 1 for norm in norms]
        self._row = torch.zeros(sum(self._sizes), dtype=torch.float64, device=_buffers(norms[0])[0].device)
        self._parts = dict(zip(norms, torch.split(self._row, self._sizes), strict=True))  # views

    def note(self, norm: BatchNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """A norm's forward hook: add what this call found."""
        values = inputs[0].numel() // inputs[0].shape[1]
        mean, variance = _buffers(norm)
        # torch stores the unbiased variance; over a single value ours stores 0
        found = mean.double(), variance.double() * ((values - 1) / values), self._row.new_ones(1)
        self._parts[norm] += torch.cat(found)

    def taken(self) -> Tensor:
        """The row; begins anew."""
        row = self._row.clone()
        self._row.zero_()
        return row

    def replace(self, row: Tensor) -> None:
        """Put the means over all calls of such a row into the norms' buffers."""
        for norm, part in zip(self._parts, torch.split(row, self._sizes), strict=True):
            if part[-1]:
                for place, values in zip(_buffers(norm), (part[:-1] / part[-1]).chunk(2), strict=True):
                    place.copy_(values)


def _buffers(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var
