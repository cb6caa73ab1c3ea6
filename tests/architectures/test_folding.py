"""Batch norm folded into convolutions: the same outputs, no norm left, and a refusal where one would be."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import architectures
from architectures import ArchitectureError
from architectures.base import Architecture
from architectures.folding import BatchNorm, fold_batch_norm
from tests.architectures.networks import build, fill_zero_scores

CLASSES = 5
SIZE = (32, 32)


def norms(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def trained(name: str) -> Architecture:
    """After two steps, so that running statistics, scales and shifts are not the initial ones."""
    network = build(name, CLASSES, SIZE)
    fill_zero_scores(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, fused=True)
    images = torch.randn(3, 3, *SIZE) + 0.5
    labels = torch.randint(CLASSES, (3, *network.output_size(*SIZE)))
    for _ in range(2):
        optimizer.zero_grad()
        torch.autograd.backward(functional.cross_entropy(network(images), labels))
        optimizer.step()
    return network


@pytest.mark.parametrize("name", architectures.names(baselines=False))
def test_a_folded_network_gives_the_same_logits_without_a_norm(name: str) -> None:
    """Exactly in float64. In float32 rounding may decide otherwise which of two like maxima is pooled."""
    network = trained(name)
    before = copy.deepcopy(network.state_dict())
    folded = fold_batch_norm(network)
    assert not norms(folded) and not folded.training
    assert folded.folded_norms == len(norms(network)) >= 4
    after = network.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    network.eval()
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        expected, found = network(images), folded(images)
        initial = fold_batch_norm(_without_statistics(network))(images)
        exact, exactly_folded = network.double()(images.double()), fold_batch_norm(network)(images.double())
    scale = float(expected.abs().max())
    assert float((found - expected).abs().gt(1e-4 * scale).double().mean()) < 0.1
    assert float((initial - expected).abs().max()) > 1e-2 * scale  # the statistics do matter here
    torch.testing.assert_close(exactly_folded, exact, rtol=1e-9, atol=1e-9 * scale)


def _without_statistics(network: nn.Module) -> nn.Module:
    plain = copy.deepcopy(network)
    for norm in norms(plain):
        assert isinstance(norm, BatchNorm)
        norm.reset_running_stats()
    return plain


def test_the_arithmetic_by_hand() -> None:
    """Weight 2, bias 1 in front of (x - 3) / sqrt(4) * 10 + 0.5: weight 10, bias (1 - 3) * 5 + 0.5."""
    block = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, eps=0.0), nn.ReLU())
    values = {
        "0.weight": torch.full((1, 1, 1, 1), 2.0),
        "0.bias": torch.tensor([1.0]),
        "1.weight": torch.tensor([10.0]),
        "1.bias": torch.tensor([0.5]),
        "1.running_mean": torch.tensor([3.0]),
        "1.running_var": torch.tensor([4.0]),
        "1.num_batches_tracked": torch.tensor(1),
    }
    block.load_state_dict(values)
    folded = fold_batch_norm(block)
    assert list(dict(folded.named_children())) == ["0", "2"]
    assert {name: float(value) for name, value in folded.state_dict().items()} == {"0.weight": 10.0, "0.bias": -9.5}


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_groups_and_missing_biases(kind: type[nn.Module], bias: bool, groups: int) -> None:
    torch.manual_seed(0)
    block = nn.Sequential(kind(4, 6, 3, groups=groups, bias=bias), nn.BatchNorm2d(6))
    with torch.no_grad():
        for _ in range(3):
            block(torch.randn(4, 4, 5, 5) * 2 + 1)
        images = torch.randn(2, 4, 5, 5)
        torch.testing.assert_close(fold_batch_norm(block)(images), block.eval()(images))


class _Apart(nn.Module):
    """Like torchvision's ResNet: nothing says in which order its layers are called."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)


SHARED = nn.Conv2d(3, 3, 1)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (_Apart(), "bn1"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), "2"),
        (nn.Sequential(SHARED, nn.BatchNorm2d(3), SHARED, nn.BatchNorm2d(3)), "one place"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)), "statistics"),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "no batch norm"),
    ],
)
def test_what_cannot_be_folded_as_a_whole_is_refused(network: nn.Module, says: str) -> None:
    with pytest.raises(ArchitectureError, match=says):
        fold_batch_norm(network)
