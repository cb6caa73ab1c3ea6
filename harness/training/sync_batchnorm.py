"""Batch norm over the whole batch of several processes, on a CPU as on a GPU.

torch's SyncBatchNorm refuses tensors on a CPU; this one is the same on both, so that what is tested is what
runs. Each process gives the mean and the squared deviations of its own values, which are joined in float64
(Chan, Golub and LeVeque 1979): parts of unequal size count by their values.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from architectures.layers import BatchNorm2d
from harness.system.errors import UserError
from harness.training.distributed import Group

_EACH = (0, 2, 3)  # dimensions of (N, C, H, W) that a channel's values lie in


class SynchronizedBatchNorm2d(BatchNorm2d):
    """Batch norm whose training statistics are those of all processes of a group.

    Args:
        num_features: channels C.
        group: the processes; each calls the layer equally often.
    """

    def __init__(self, num_features: int, group: Group) -> None:
        super().__init__(num_features)
        self.group = group
        self.apart = False  # set: by this process's own values, as if it were alone

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W); N may differ between processes, but for 0."""
        if self.apart or not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        output, mean, variance, values = _Normalize.apply(input, self.weight, self.bias, self.eps, self.group)
        self._track(mean, variance, values)
        return output  # type: ignore[no-any-return]

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, values: Tensor) -> None:
        """Move the running statistics: torch keeps the unbiased variance; over a single value it is 0."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        unbiased = variance * (values / (values - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class _Normalize(torch.autograd.Function):
    """(input, weight, bias, eps, group) -> output, and of the whole batch mean, biased variance, values."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor, eps: float, group: Group
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, values = _statistics(input, group)
        output = functional.batch_norm(input, mean, variance, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(input, weight, mean, variance, values)
        ctx.mark_non_differentiable(mean, variance, values)
        ctx.eps, ctx.group = eps, group
        return output, mean, variance, values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *others: Tensor) -> tuple[Tensor | None, ...]:
        """With m, v of the whole batch of n values, x' = x - m and i = 1 / sqrt(v + eps):

        dL/dx = weight i (g - sum(g) / n - x' i^2 sum(g x') / n), the sums over all processes; the gradients
        of weight and bias are this process's part, i sum(g x') and sum(g).
        """
        input, weight, mean, variance, values = ctx.saved_tensors
        wide = mean.dtype
        gradient = gradient.to(wide)
        centered = input.to(wide) - _across(mean)
        inverse = (variance + ctx.eps).rsqrt()
        sums = torch.stack([gradient.sum(_EACH), (gradient * centered).sum(_EACH)])  # (2, C)
        of_gradient, of_product = ctx.group.all_reduce_sum(sums) / values
        centered.mul_(_across(-(inverse**2) * of_product)).add_(gradient).sub_(_across(of_gradient))
        centered.mul_(_across(weight.to(wide) * inverse))
        to_weight = (sums[1] * inverse).to(weight.dtype)
        return centered.to(input.dtype), to_weight, sums[0].to(weight.dtype), None, None


def _statistics(input: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (C,) and biased variance (C,) of all processes' values, and their number a channel, float64 ()."""
    wide = torch.float64 if input.dtype == torch.float64 else torch.float32
    channels = input.shape[1]
    variance, mean = torch.var_mean(input.to(wide), _EACH, correction=0)
    values = torch.full((1,), input.numel() // channels, dtype=torch.float64, device=input.device)
    own = torch.cat([mean.double(), variance.double() * values, values])
    means, squares, counts = torch.split(torch.stack(group.all_gather(own)), [channels, channels, 1], dim=1)
    count = counts.sum()
    joint = (means * counts).sum(0) / count
    joint_squares = (squares + counts * (means - joint) ** 2).sum(0)
    return joint.to(wide), (joint_squares / count).to(wide), count


def _across(channels: Tensor) -> Tensor:
    """(C,) -> (1, C, 1, 1)."""
    return channels.view(1, -1, 1, 1)


def synchronize(network: nn.Module, group: Group) -> None:
    """Put synchronized layers in the place of a network's batch norm; weights, buffers and names stay.

    Raises:
        UserError: it has batch norm of another kind, which would see only a part of the batch.
    """
    for parent in list(network.modules()):
        for name, module in list(parent.named_children()):
            if not isinstance(module, nn.modules.batchnorm._BatchNorm):
                continue
            if not (isinstance(module, nn.BatchNorm2d) and module.affine and module.track_running_stats):
                raise UserError(f"layer {name}, {module}, can't be synchronized over processes: start one process")
            layer = SynchronizedBatchNorm2d(module.num_features, group)
            for kept in ("eps", "momentum", "weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                setattr(layer, kept, getattr(module, kept))
            setattr(parent, name, layer.train(module.training))
