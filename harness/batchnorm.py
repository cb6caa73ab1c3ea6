"""Re-estimation of batch-norm statistics before each evaluation.

The paper re-estimates them by a full pass over the training set; its script (compute_bn_statistics.py of
SegNet-Tutorial) takes the plain mean of batch means and of biased batch variances, dropout off, at the
training batch size. Running averages, torch's default, lag behind the weights and give other scores.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from harness.data import SplitData
from harness.precision import autocast
from harness.spec import Precision

BatchNorm = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def reestimate(
    model: nn.Module,
    train: SplitData,
    batch: int,
    precision: Precision,
    on_batch: Callable[[int], None] = lambda images: None,
) -> None:
    """Replace every running mean and variance by those of one pass over the training images.

    The last batch is filled from the start of the split. Leaves the model in evaluation mode.

    Args:
        model: the network; only its batch-norm buffers change.
        train: training images, not mirrored.
        batch: the protocol's batch size.
        precision: as in training.
        on_batch: called with the number of images done, for progress.
    """
    norms = [module for module in model.modules() if isinstance(module, BatchNorm)]
    model.eval()
    if not norms:
        return
    sums: dict[BatchNorm, list[Tensor]] = {}
    hooks = [norm.register_forward_hook(_Collector(sums)) for norm in norms]
    momenta = [norm.momentum for norm in norms]
    # torch's count of training batches, which the passes made here don't belong to
    counts = [buffer for name, buffer in model.named_buffers() if name.endswith("num_batches_tracked")]
    counted = [count.clone() for count in counts]
    batches = 0
    try:
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # the buffers then hold the statistics of the last batch alone
        for indices in train.in_order(batch, wrap=True):
            with autocast(precision, train.device):
                model(train.images(indices))
            batches += 1
            on_batch(len(indices))
    finally:
        for count, before in zip(counts, counted, strict=True):
            count.copy_(before)
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            norm.momentum = momentum
            norm.eval()
            hook.remove()
    for norm, (mean, variance) in sums.items():
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean / batches)
        norm.running_var.copy_(variance / batches)


class _Collector:
    """Adds up a layer's batch means and biased variances in float64."""

    def __init__(self, sums: dict[BatchNorm, list[Tensor]]) -> None:
        self._sums = sums

    def __call__(self, norm: BatchNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert norm.running_mean is not None and norm.running_var is not None
        values = inputs[0].numel() // inputs[0].shape[1]
        # torch stores the unbiased variance; over a single value ours stores 0
        biased = norm.running_var.double() * ((values - 1) / values)
        if norm in self._sums:
            self._sums[norm][0] += norm.running_mean  # in float64, the sum's type
            self._sums[norm][1] += biased
        else:
            self._sums[norm] = [norm.running_mean.double(), biased]
