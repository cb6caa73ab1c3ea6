"""Synchronized batch norm against torch's own over the whole batch in one process."""

import pytest
import torch
from torch import Tensor, nn

import architectures
from harness.system.errors import UserError
from harness.training.distributed import SINGLE_PROCESS
from harness.training.sync_batchnorm import SynchronizedBatchNorm2d, synchronize
from tests.harness.pair import Processes, normalize

CHANNELS = 4


def reference(inputs: Tensor, gradient: Tensor, steps: int) -> dict[str, Tensor]:
    """The same by torch, on the whole batch."""
    norm = nn.BatchNorm2d(CHANNELS, eps=1e-9).to(inputs.dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, CHANNELS))
        norm.bias.copy_(torch.linspace(-1.0, 1.0, CHANNELS))
    for _ in range(steps):
        norm.zero_grad()
        whole = inputs.clone().requires_grad_()
        output = norm(whole)
        output.backward(gradient)
    assert whole.grad is not None and norm.weight.grad is not None and norm.bias.grad is not None
    return {
        "output": output.detach(),
        "input": whole.grad,
        "weight": norm.weight.grad,
        "bias": norm.bias.grad,
        **{name: buffer.clone() for name, buffer in norm.named_buffers()},
    }


def drawn(images: int, dtype: torch.dtype, mean: float = 3.0) -> tuple[Tensor, Tensor]:
    """Input and output gradient (images, C, 3, 5), far from mean 0."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, CHANNELS, 3, 5)
    values = torch.randn(shape, generator=generator, dtype=dtype) * 2 + mean
    return values, torch.randn(shape, generator=generator, dtype=dtype)


def compare(found: list[dict[str, Tensor]], wanted: dict[str, Tensor], tolerance: float) -> None:
    for name in ("output", "input"):
        parts = torch.cat([result[name] for result in found])
        torch.testing.assert_close(parts, wanted[name], rtol=tolerance, atol=tolerance)
    for result in found:
        for name in wanted.keys() - {"output", "input"}:
            torch.testing.assert_close(result[name], wanted[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("parts", [(3, 2), (1, 4)])
def test_unequal_parts_are_normalized_as_one_batch(pair: Processes, parts: tuple[int, int]) -> None:
    inputs, gradient = drawn(5, torch.float64)
    found = pair(normalize, list(inputs.split(parts)), list(gradient.split(parts)), 3)
    compare(found, reference(inputs, gradient, 3), 1e-12)


def test_in_float32_a_large_mean_costs_no_more_than_in_one_process(pair: Processes) -> None:
    inputs, gradient = drawn(5, torch.float32, mean=100.0)
    found = pair(normalize, list(inputs.split((3, 2))), list(gradient.split((3, 2))), 1)
    exact = reference(inputs.double(), gradient.double(), 1)
    alone = reference(inputs, gradient, 1)
    for name in ("output", "input"):
        error = (torch.cat([result[name] for result in found]).double() - exact[name]).abs().max()
        usual = (alone[name].double() - exact[name]).abs().max()
        assert error <= 4 * usual + 1e-6


def test_three_processes(trio: Processes) -> None:
    inputs, gradient = drawn(5, torch.float64)
    found = trio(normalize, list(inputs.split((2, 2, 1))), list(gradient.split((2, 2, 1))), 2)
    compare(found, reference(inputs, gradient, 2), 1e-12)


def test_one_value_a_process_is_two_values_a_channel(pair: Processes) -> None:
    """By hand: values 1 and 3 have mean 2, biased variance 1, unbiased 2."""
    ones = [torch.full((1, 1, 1, 1), value, dtype=torch.float64) for value in (1.0, 3.0)]
    found = pair(normalize, ones, [torch.ones_like(ones[0])] * 2, 1)
    for result, sign in zip(found, (-1.0, 1.0), strict=True):
        assert float(result["output"]) == pytest.approx(0.5 * sign - 1.0, abs=1e-8)  # weight 0.5, bias -1
        assert float(result["running_mean"]) == pytest.approx(0.1 * 2.0)
        assert float(result["running_var"]) == pytest.approx(0.9 * 1.0 + 0.1 * 2.0)
        assert float(result["input"]) == pytest.approx(0.0, abs=1e-12)
        assert float(result["bias"]) == 2.0


@pytest.mark.parametrize("name", architectures.names())
def test_a_network_keeps_its_weights_and_their_names(name: str) -> None:
    with torch.device("meta"):
        network = architectures.build(name, 11, (64, 64))
        before = dict(network.state_dict(keep_vars=True))
        norms = {path: m for path, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
        synchronize(network, SINGLE_PROCESS)
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    assert all(after[key] is before[key] for key in before)
    for path, norm in norms.items():
        layer = network.get_submodule(path)
        assert isinstance(layer, SynchronizedBatchNorm2d)
        assert (layer.eps, layer.momentum, layer.training) == (norm.eps, norm.momentum, norm.training)


def test_apart_and_in_evaluation_it_is_the_layer_it_replaces() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.BatchNorm2d(CHANNELS))
    layered = nn.Sequential(nn.BatchNorm2d(CHANNELS))
    synchronize(layered, SINGLE_PROCESS)
    layered[0].apart = True
    inputs = torch.randn(2, CHANNELS, 3, 3)
    assert torch.equal(plain(inputs), layered(inputs))
    plain.eval(), layered.eval()
    layered[0].apart = False
    assert torch.equal(plain(inputs), layered(inputs))


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(3), nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_another_batch_norm_is_refused(layer: nn.Module) -> None:
    with pytest.raises(UserError, match="can't be synchronized"):
        synchronize(nn.Sequential(layer), SINGLE_PROCESS)
