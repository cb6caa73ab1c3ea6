"""FCN-8s: alignment of its upsampling, and what is learnt."""

import pytest
import torch
from torch import Tensor

import architectures
from architectures.fcn8s import FCN8s, upsampling
from architectures.layers import crop
from tests.architectures.networks import build

SIZES = [(32, 32), (33, 64), (37, 53), (45, 60), (95, 121)]


def pooled_ramp(size: tuple[int, int], factor: int) -> Tensor:
    """(1, 2, h, w): row and column of each pixel's center in a map pooled by `factor`, rounding up."""
    rows, columns = (torch.arange(-(-side // factor)) * factor + (factor - 1) / 2 for side in size)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))[None]


def inside(ramp: Tensor, coarse: Tensor) -> Tensor:
    """(H, W) bool: pixels between the outermost centers of the coarse map, where interpolation is exact."""
    mask = torch.ones(ramp.shape[-2:], dtype=torch.bool)
    for axis in range(2):
        mask &= (ramp[0, axis] >= coarse[0, axis].min()) & (ramp[0, axis] <= coarse[0, axis].max())
    return mask


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [2, 8])
def test_upsampling_is_aligned_with_the_finer_map(stride: int, size: tuple[int, int]) -> None:
    fine, coarse = pooled_ramp(size, 1), pooled_ramp(size, stride)
    with torch.no_grad():
        result = crop(upsampling(2, stride=stride)(coarse), fine.shape[-2:])
    assert result.shape == fine.shape
    mask = inside(fine, coarse)
    assert mask.any()
    torch.testing.assert_close(result[..., mask], fine[..., mask], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(95, 121), (360, 480), (97, 193)])
def test_scores_of_pool5_arrive_in_place_in_the_image(size: tuple[int, int]) -> None:
    """All three deconvolutions in a row, with the crops of an image whose every pooling rounds."""
    ramps = {factor: pooled_ramp(size, factor) for factor in (32, 16, 8, 1)}
    x = ramps[32]
    with torch.no_grad():
        for factor, stride in ((16, 2), (8, 2), (1, 8)):
            x = crop(upsampling(2, stride=stride)(x), ramps[factor].shape[-2:])
    # the zeros outside reach in from the first center, 15.5, by half a pixel of the maps at 1/16 and 1/8
    rows, columns = (slice(28, 32 * (-(-side // 32) - 1) + 4) for side in size)
    assert ramps[1][..., rows, columns].numel() >= 1000
    torch.testing.assert_close(x[..., rows, columns], ramps[1][..., rows, columns], rtol=0, atol=1e-3)


def test_border_is_the_same_factor_for_all_classes() -> None:
    scores = torch.rand(1, 3, 4, 5)
    with torch.no_grad():
        result = upsampling(3, stride=8)(scores)
        weight = upsampling(1, stride=8)(torch.ones(1, 1, 4, 5))
    assert weight.min() == pytest.approx(0.5625**2)
    torch.testing.assert_close(weight[..., 4:-4, 4:-4], torch.ones(1, 1, 24, 32))
    assert torch.equal(result[..., :4, :4].argmax(dim=1), scores[..., :1, :1].argmax(dim=1).expand(1, 4, 4))


def test_upsampling_is_learnt_or_fixed() -> None:
    with torch.device("meta"):
        learnt = architectures.build("fcn8s", 4)
        fixed = architectures.build("fcn8s-bilinear", 4)
    deconvolutions = {"upscore2.weight", "upscore_pool4.weight", "upscore8.weight"}
    assert {key for key, p in learnt.named_parameters() if not p.requires_grad} == set()
    assert {key for key, p in fixed.named_parameters() if not p.requires_grad} == deconvolutions
    assert learnt.state_dict().keys() == fixed.state_dict().keys()


def test_scores_start_at_zero_and_are_added() -> None:
    network = build("fcn8s", 4).eval()
    assert isinstance(network, FCN8s)
    with torch.no_grad():
        assert not network(torch.randn(1, 3, 32, 32)).any()
        for value, layer in ((1.0, network.score_fr), (10.0, network.score_pool4), (100.0, network.score_pool3)):
            assert layer.bias is not None
            layer.bias.fill_(value)
        logits = network(torch.randn(1, 3, 96, 96))
    torch.testing.assert_close(logits[..., 44:52, 44:52], torch.full((1, 4, 8, 8), 111.0))
