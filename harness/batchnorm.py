"""Re-estimation of batch-norm statistics before each evaluation.

The paper re-estimates them by a full pass over the training set; its script (compute_bn_statistics.py of
SegNet-Tutorial) takes the plain mean of batch means and of biased batch variances, dropout off, at the
training batch size. Running averages, torch's default, lag behind the weights and give other scores.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.data import SplitData
from harness.distributed import ALONE, Group
from harness.precision import autocast
from harness.spec import Precision
from harness.sync_norm import SynchronisedBatchNorm2d

BatchNorm = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def reestimate(
    model: nn.Module,
    train: SplitData,
    batch: int,
    precision: Precision,
    on_batch: Callable[[int], None] = lambda images: None,
    group: Group = ALONE,
) -> None:
    """Replace every running mean and variance by those of one pass over the training images.

    The last batch is filled from the start of the split. Leaves the model in evaluation mode. Several
    processes take whole batches in turn; their statistics are added in the batches' order, so that the sums
    are those of one process to the bit.

    Args:
        model: the network; only its batch-norm buffers change.
        train: training images, not mirrored.
        batch: the protocol's batch size.
        precision: as in training.
        on_batch: called with the number of images done, for progress.
        group: the processes that do it together.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    model.eval()
    if not norms:
        return
    last = _LastBatch(norms)
    hooks = [norm.register_forward_hook(last.note) for norm in norms]
    momenta = [norm.momentum for norm in norms]
    # torch's count of training batches, which the passes made here don't belong to
    counts = [buffer for name, buffer in model.named_buffers() if name.endswith("num_batches_tracked")]
    counted = [count.clone() for count in counts]
    sums, batches = torch.zeros_like(last.statistics()), 0
    try:
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the buffers then hold the statistics of the last batch alone
        _set_apart(norms, True)
        for turn in group.turns(train.in_order(batch, wrap=True)):
            if turn.own is not None:
                with autocast(precision, train.device):
                    model(train.images(turn.own))
            for statistics in group.rows(last.statistics())[: turn.batches]:
                sums += statistics
            batches += turn.batches
            on_batch(turn.images)
    finally:
        for count, before in zip(counts, counted, strict=True):
            count.copy_(before)
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            norm.momentum = momentum
            norm.eval()
            hook.remove()
        _set_apart(norms, False)
    last.replace(sums / batches)


def _set_apart(norms: list[BatchNorm], apart: bool) -> None:
    """Whether synchronised layers go by the batch of their own process, which is a whole one here."""
    for norm in norms:
        if isinstance(norm, SynchronisedBatchNorm2d):
            norm.apart = apart


class _LastBatch:
    """The means and biased variances of the last batch, of all layers as one vector in float64."""

    def __init__(self, norms: list[BatchNorm]) -> None:
        self._norms = norms
        # torch stores the unbiased variance; over a single value ours stores 0
        self._biased = dict.fromkeys(norms, 1.0)

    def note(self, norm: BatchNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """A layer's forward hook: over how many values its variance was taken."""
        values = inputs[0].numel() // inputs[0].shape[1]
        self._biased[norm] = (values - 1) / values

    def statistics(self) -> Tensor:
        """Mean (C,) and variance (C,) of each layer in turn."""
        parts = []
        for norm in self._norms:
            mean, variance = _buffers(norm)
            parts += [mean.double(), variance.double() * self._biased[norm]]
        return torch.cat(parts)

    def replace(self, statistics: Tensor) -> None:
        """Put such a vector into the layers' buffers."""
        places = [buffer for norm in self._norms for buffer in _buffers(norm)]
        each = torch.split(statistics, [len(place) for place in places])
        for place, values in zip(places, each, strict=True):
            place.copy_(values)


def _buffers(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    return norm.running_mean, norm.running_var
