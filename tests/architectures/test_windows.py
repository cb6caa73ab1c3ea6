"""The convolutions with large windows give what torch's give, forward and backward."""

import pytest
import torch
from torch import Tensor, nn

from architectures.windows import SmallMapConv2d, WholeMapConv2d, WholeMapConvTranspose2d

CASES = [
    pytest.param(SmallMapConv2d(5, 6, 7, padding=3), nn.Conv2d(5, 6, 7, padding=3), (3, 5, 3, 4), id="small"),
    pytest.param(SmallMapConv2d(5, 6, 3, padding=1), nn.Conv2d(5, 6, 3, padding=1), (1, 5, 9, 7), id="larger"),
    pytest.param(WholeMapConv2d(5, 6, (3, 4)), nn.Conv2d(5, 6, (3, 4)), (3, 5, 3, 4), id="whole"),
    pytest.param(
        WholeMapConvTranspose2d(5, 6, (3, 4)), nn.ConvTranspose2d(5, 6, (3, 4)), (3, 5, 1, 1), id="transposed"
    ),
]
FORMATS = [torch.contiguous_format, torch.channels_last]


def gradients(layer: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    layer.zero_grad()
    images = images.clone().requires_grad_()
    output = layer(images)
    (output.float() * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
    grads = [images.grad, *(parameter.grad for parameter in layer.parameters())]
    return output.detach(), *(grad for grad in grads if grad is not None)


@pytest.mark.parametrize("memory_format", FORMATS, ids=["contiguous", "channels-last"])
@pytest.mark.parametrize(("ours", "torchs", "shape"), CASES)
def test_same_output_and_gradients(
    ours: nn.Module, torchs: nn.Module, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    torchs.load_state_dict(ours.state_dict())
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    images = images.to(memory_format=memory_format)
    found, expected = gradients(ours, images), gradients(torchs, images)
    assert len(found) == len(expected) == 4
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("ours", "torchs", "shape"), CASES)
def test_same_without_gradients(ours: nn.Module, torchs: nn.Module, shape: tuple[int, ...]) -> None:
    torchs.load_state_dict(ours.state_dict())
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), torchs(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("ours", "torchs", "shape"), CASES)
def test_same_under_bfloat16_autocast(ours: nn.Module, torchs: nn.Module, shape: tuple[int, ...]) -> None:
    torchs.load_state_dict(ours.state_dict())
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = ours(images), torchs(images)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=3e-2, atol=3e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for one, other in zip(gradients(ours, images), gradients(torchs, images), strict=True):
            torch.testing.assert_close(one, other, rtol=5e-2, atol=5e-2)


def test_the_small_maps_gradients_pass_gradcheck() -> None:
    layer = SmallMapConv2d(2, 3, 5, padding=2).double()
    images = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (images,))


def test_maps_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"not of the window's size \(3, 4\)"):
        WholeMapConv2d(2, 3, (3, 4))(torch.zeros(1, 2, 4, 4))
    with pytest.raises(ValueError, match="not 1x1"):
        WholeMapConvTranspose2d(2, 3, (3, 4))(torch.zeros(1, 2, 1, 2))
