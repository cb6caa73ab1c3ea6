"""The baselines that see no context: what their logits depend on, and that any size is taken."""

import pytest
import torch

import architectures
from architectures.base import Architecture
from architectures.pixel_mlp import positions
from tests.architectures.test_onnx import exported, run

CLASSES = 5
BASELINES = [name for name in architectures.names() if architectures.info(name).context != "image"]


def built(name: str, size: tuple[int, int] = (48, 64)) -> Architecture:
    torch.manual_seed(0)
    return architectures.build(name, CLASSES, size)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BASELINES)
def test_a_pixel_changes_its_own_logits_at_most(name: str, training: bool) -> None:
    network = built(name).train(training)
    images = torch.randn(2, 3, 9, 14)
    expected = torch.zeros(2, 9, 14, dtype=torch.bool)
    expected[1, 4, 6] = network.info.context == "pixel"
    with torch.no_grad():
        before = network(images)
        images[1, :, 4, 6] += 1.0
        changed = (network(images) != before).any(1)
    assert torch.equal(changed, expected)


def test_the_position_prior_is_blind() -> None:
    network = built("position-prior")
    images = torch.randn(3, 3, 9, 14, requires_grad=True)
    logits = network(images)
    with torch.no_grad():
        assert torch.equal(logits, network(torch.zeros_like(images)))
    assert torch.equal(logits[0], logits[2])
    assert torch.autograd.grad(logits.sum(), images, allow_unused=True) == (None,)
    assert (logits[0].flatten(1).std(1) > 0).all()  # it does look at where a pixel lies


def test_color_and_position_both_matter_to_the_pixel_mlp() -> None:
    network = built("pixel-mlp")
    with torch.no_grad():
        one_color = network(torch.ones(1, 3, 9, 14))
        other_color = network(torch.zeros(1, 3, 9, 14))
    assert len(one_color.flatten(2).unique(dim=2)[0, 0]) == 9 * 14
    assert (one_color != other_color).any(1).all()


def test_positions_by_hand() -> None:
    """Two rows of four pixels: centers at a quarter and three quarters, at eighths."""
    found = positions(torch.zeros(5, 3, 2, 4, dtype=torch.float64))
    assert found.dtype == torch.float64 and found.shape == (1, 2, 2, 4)
    assert found[0, 0].tolist() == [[-0.5] * 4, [0.5] * 4]
    assert found[0, 1].tolist() == [[-0.75, -0.25, 0.25, 0.75]] * 2


@pytest.mark.parametrize("name", BASELINES)
def test_a_pixel_three_times_as_large_has_the_same_logits_at_its_center(name: str) -> None:
    network = built(name)
    images = torch.randn(1, 3, 7, 5)
    with torch.no_grad():
        logits = network(images)
        larger = network(images.repeat_interleave(3, 2).repeat_interleave(3, 3))
    torch.testing.assert_close(larger[:, :, 1::3, 1::3], logits)


@pytest.mark.parametrize("name", BASELINES)
def test_one_pixel_is_an_image(name: str) -> None:
    assert built(name, (1, 1))(torch.randn(2, 3, 1, 1)).shape == (2, CLASSES, 1, 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BASELINES)
def test_export_to_onnx(name: str) -> None:
    network = built(name).eval()
    images = torch.randn(1, 3, 9, 14)
    (found,) = run(exported(network, images), images)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), network(images), rtol=1e-4, atol=1e-5)
