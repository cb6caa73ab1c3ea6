"""The permutohedral lattice: its simplices, its filter's width, and what is too far apart."""

import pytest
import torch
from torch import Tensor

from harness.postprocess.crf.lattice import Lattice, _elevation, _simplices
from harness.postprocess.crf.mean_field import exact, normalized


def scattered(points: int, dimensions: int, spread: float = 3.0, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(points, dimensions, generator=generator)


def corner_coordinates(keys: Tensor, strides: Tensor) -> Tensor:
    """The first d coordinates (d, d + 1, N) of packed corners, up to a constant."""
    coordinates, rest = [], keys
    for stride in reversed(strides.tolist()):
        coordinates.append(rest // stride)
        rest = rest % stride
    return torch.stack(coordinates[::-1])


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_a_point_is_the_mean_of_its_corners_weighted_by_its_shares(dimensions: int) -> None:
    features = scattered(500, dimensions)
    keys, shares, strides = _simplices(features)
    assert keys.shape == shares.shape == (dimensions + 1, 500)
    torch.testing.assert_close(shares.sum(0), torch.ones(500))
    assert shares.min() > -1e-4
    mean = (shares * corner_coordinates(keys, strides).float()).sum(1)  # (d, N)
    elevated = _elevation(dimensions, features.device).float() @ features.t()
    offset = mean - elevated[:-1]  # what packing subtracted: the same whole number for all points
    torch.testing.assert_close(offset, offset[:, :1].round().expand_as(offset), atol=2e-3, rtol=0)


@pytest.mark.parametrize("dimensions", [2, 5])
def test_corners_of_a_simplex_are_distinct_lattice_points(dimensions: int) -> None:
    keys, _, strides = _simplices(scattered(300, dimensions))
    assert all(len(set(corners)) == dimensions + 1 for corners in keys.t().tolist())
    # coordinates of corner r all leave the remainder r, counted from corner 0's
    coordinates = corner_coordinates(keys, strides)
    steps = (coordinates - coordinates[:, :1]) % (dimensions + 1)
    expected = torch.arange(dimensions + 1)[None, :, None].expand_as(steps)
    assert torch.equal(steps, expected)


def test_the_filter_s_standard_deviation_is_1() -> None:
    """Impulses at many places of a dense plane: mean squared distance of what arrives, a coordinate each."""
    step = 0.1
    axis = torch.arange(-6.0, 6.0, step)
    plane = torch.cartesian_prod(axis, axis)
    inside = ((plane.abs() < 1.0).all(1)).nonzero().flatten()
    chosen = inside[:: len(inside) // 60]
    impulses = torch.zeros(len(plane), len(chosen))
    impulses[chosen, torch.arange(len(chosen))] = 1.0
    arrived = Lattice(plane)(impulses)
    shares = arrived / arrived.sum(0)
    squares = (plane[:, None] - plane[chosen][None]).square().sum(2)  # (N, impulses)
    variance = (shares * squares).sum(0) / 2
    assert variance.mean().item() == pytest.approx(1.0, abs=0.05)
    assert arrived.min() >= 0


@pytest.mark.parametrize(("dimensions", "tolerance"), [(2, 0.02), (3, 0.03)])
def test_smooth_values_are_filtered_as_by_the_exact_kernel(dimensions: int, tolerance: float) -> None:
    features = scattered(3000, dimensions, spread=1.5)
    values = torch.stack([torch.sigmoid(features[:, 0]), torch.cos(features[:, -1]) / 2 + 0.5], 1)
    near = normalized(Lattice(features), 3000, features.device)(values)
    truth = normalized(exact(features), 3000, features.device)(values)
    assert (near - truth).abs().mean() < tolerance


def test_far_clusters_do_not_mix() -> None:
    features = torch.cat([scattered(50, 5, spread=0.3), 40 + scattered(50, 5, spread=0.3, seed=1)])
    values = torch.zeros(100, 1)
    values[:50] = 1.0
    filtered = Lattice(features)(values)
    assert (filtered[50:] == 0).all() and (filtered[:50] > 0).all()


def test_equal_points_share_their_corners() -> None:
    assert Lattice(torch.zeros(1000, 5)).points == 6


def test_points_too_far_apart_for_a_key_are_refused() -> None:
    with pytest.raises(ValueError, match="raise the sigmas"):
        Lattice(1e6 * scattered(20, 5))
