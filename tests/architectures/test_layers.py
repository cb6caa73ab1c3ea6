"""Batch norm, fillers and blocks."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from architectures.layers import (
    BatchNorm2d,
    bilinear_,
    gaussian_,
    he_normal_,
)


def test_batch_norm_starts_as_in_caffe_segnet() -> None:
    layer = BatchNorm2d(5)
    assert layer.eps == 1e-9
    assert torch.equal(layer.weight, torch.ones(5))
    assert torch.equal(layer.bias, torch.full((5,), 0.001))


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(2, 4, 1, 1), (1, 4, 1, 2), (3, 4, 5, 6)])
def test_batch_norm_is_torch_s_over_several_values(
    shape: tuple[int, ...], training: bool, momentum: float | None
) -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm2d(4), nn.BatchNorm2d(4, eps=1e-9)
    nn.init.uniform_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    inputs = [torch.randn(shape, requires_grad=True) for _ in range(2)]
    inputs[1].data.copy_(inputs[0].data)
    results = []
    for layer, x in zip((ours, theirs), inputs, strict=True):
        layer.momentum = momentum
        layer.train(training)
        y = layer(x)
        torch.autograd.backward((y * torch.arange(y.numel()).reshape(shape)).sum())
        results.append([y.detach(), x.grad, *(p.grad for p in layer.parameters()), *layer.buffers()])
    for left, right in zip(*results, strict=True):
        assert torch.equal(left, right)


def test_batch_norm_of_a_single_value_has_variance_zero() -> None:
    layer = BatchNorm2d(3)
    nn.init.constant_(layer.weight, 2.0)
    x = torch.tensor([5.0, -7.0, 0.0]).reshape(1, 3, 1, 1).requires_grad_()
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm2d(3)(x)
    y = layer(x)
    assert torch.equal(y, torch.full((1, 3, 1, 1), 0.001))
    torch.autograd.backward((y * torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)).sum())
    assert x.grad is not None and torch.equal(x.grad, torch.zeros(1, 3, 1, 1))
    assert layer.weight.grad is not None and torch.equal(layer.weight.grad, torch.zeros(3))
    assert layer.bias.grad is not None and torch.equal(layer.bias.grad, torch.tensor([1.0, 2.0, 3.0]))


def test_single_value_moves_the_running_statistics() -> None:
    x = torch.tensor([5.0, -7.0]).reshape(1, 2, 1, 1)
    layer = BatchNorm2d(2)
    layer(x)
    assert layer.running_mean is not None and layer.running_var is not None
    torch.testing.assert_close(layer.running_mean, torch.tensor([0.5, -0.7]))
    torch.testing.assert_close(layer.running_var, torch.tensor([0.9, 0.9]))
    layer.eval()
    torch.testing.assert_close(layer(x).flatten(), torch.tensor([4.5, -6.3]) / math.sqrt(0.9) + 0.001)


def test_single_values_are_averaged_without_momentum() -> None:
    layer = BatchNorm2d(1)
    layer.momentum = None
    for value in (1.0, 2.0, 6.0):
        layer(torch.full((1, 1, 1, 1), value))
    assert layer.running_mean is not None and layer.running_var is not None
    torch.testing.assert_close(layer.running_mean, torch.tensor([3.0]))
    assert layer.running_var.item() == 0.0
    assert layer.num_batches_tracked is not None and layer.num_batches_tracked.item() == 3


def test_batch_norm_takes_only_images() -> None:
    with pytest.raises(ValueError, match="4D"):
        BatchNorm2d(3)(torch.zeros(1, 3))


@pytest.mark.parametrize(("fill", "std"), [(he_normal_, math.sqrt(2 / (64 * 9))), (gaussian_, 0.01)])
def test_fillers_have_caffe_s_spread(fill: Callable[[nn.Conv2d], None], std: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    fill(layer)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.bias is not None and not layer.bias.any()


@pytest.mark.parametrize(
    ("size", "stride", "taps"), [(4, 2, [0.25, 0.75, 0.75, 0.25]), (3, 2, [0.5, 1.0, 0.5]), (2, 1, [0.5, 0.5])]
)
def test_bilinear_kernel(size: int, stride: int, taps: list[float]) -> None:
    layer = nn.ConvTranspose2d(3, 3, size, stride, bias=False)
    bilinear_(layer)
    kernel = torch.tensor(taps)[:, None] * torch.tensor(taps)
    for i in range(3):
        for j in range(3):
            assert torch.equal(layer.weight[i, j], kernel if i == j else torch.zeros(size, size))
