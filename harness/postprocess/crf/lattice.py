"""Gaussian filtering of scattered points on the permutohedral lattice.

Adams, Baek and Davis: "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
Each point's value is spread over the d + 1 corners of its simplex (splat), the corners are blurred with
(1, 2, 1) / 2 along each of d + 1 axes, and read back with the same shares (slice). All three are sums over
rows with given indices and weights, which depend on the points alone: built once, used in every iteration.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

# Keys of lattice points are packed into 63 bits.
_LARGEST_KEY = 2**62


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """A sparse matrix as lists of entries: row r sums weights[i] * values[indices[i]] over its stretch.

    indices, weights: (E,) with the rows' starts as offsets (R,), or (R, n) where all rows have n entries.
    """

    indices: Tensor
    weights: Tensor
    offsets: Tensor | None = None

    def __call__(self, values: Tensor) -> Tensor:
        """(columns, K) -> (R, K)."""
        return F.embedding_bag(self.indices, values, self.offsets, mode="sum", per_sample_weights=self.weights)


class Lattice:
    """Gaussian filter with standard deviation 1 over N points of d features (N, d) float32, up to a common factor.

    Features are in units of standard deviations.

    Raises:
        ValueError: points so far apart that lattice coordinates do not fit into 63 bits.
    """

    def __init__(self, features: Tensor) -> None:
        keys, shares, strides = _simplices(features)  # (d + 1, N) each; (d,)
        count, corners = features.shape[0], features.shape[1] + 1
        ordered, order = torch.sort(keys.flatten(), stable=True)
        first = torch.ones_like(ordered, dtype=torch.bool)
        torch.ne(ordered[1:], ordered[:-1], out=first[1:])
        vertex = torch.empty(keys.numel(), dtype=torch.int32, device=keys.device)
        vertex[order] = first.cumsum(0, dtype=torch.int32) - 1
        self._splat = _Rows(
            indices=(order % count).int(),
            weights=shares.flatten()[order],
            offsets=first.nonzero().flatten().int(),
        )
        self._slice = _Rows(indices=vertex.view(corners, count).t().contiguous(), weights=shares.t().contiguous())
        self._points = ordered[first]
        self._blurs = [_blur(self._points, step) for step in _steps(strides)]

    @property
    def points(self) -> int:
        """Number of lattice points."""
        return len(self._points)

    def __call__(self, values: Tensor) -> Tensor:
        """Filter values (N, K) float32."""
        values = self._splat(values)
        for blur in self._blurs:
            values = blur(values)
        return self._slice(values)


def _elevation(dimensions: int, device: torch.device) -> Tensor:
    """(d + 1, d): from features to the hyperplane where coordinates sum to 0.

    Its scale makes the whole filter's standard deviation 1 (Adams et al., sections 3.1 and 4).
    """
    matrix = torch.zeros(dimensions + 1, dimensions, dtype=torch.float64)
    for column in range(dimensions):
        scale = (dimensions + 1) * (2 / 3 / ((column + 1) * (column + 2))) ** 0.5
        matrix[: column + 1, column] = scale
        matrix[column + 1, column] = -(column + 1) * scale
    return matrix.to(device)


def _simplices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The corners of each point's simplex.

    Returns:
        keys (d + 1, N) int64 of the corners, barycentric shares (d + 1, N), and the strides (d,) by which the
        first d coordinates are packed into a key.
    """
    corners = features.shape[1] + 1
    # in float64, which TF32 products leave alone
    elevated = (_elevation(corners - 1, features.device) @ features.t().double()).float()  # (d + 1, N)
    nearest = torch.round(elevated / corners)
    residue = elevated - nearest * corners
    order = torch.zeros_like(residue, dtype=torch.int8)
    for one, other in combinations(range(corners), 2):
        lower = residue[one] < residue[other]
        order[one] += lower
        order[other] += ~lower
    rank = order.long() + nearest.sum(0).long()  # the sum: how far rounding led off the hyperplane
    turn = (rank < 0).long() - (rank >= corners).long()
    rank += turn * corners
    nearest += turn
    residue -= turn * corners
    # a corner's share is the difference between neighbors in the order of the residues
    falling = torch.empty_like(residue).scatter_(0, rank, residue / corners).flip(0)
    shares = falling - falling.roll(1, 0)
    shares[0] += 1
    keys, strides = _pack(nearest[:-1].long() * corners, rank)
    return keys, shares, strides


def _pack(origin: Tensor, rank: Tensor) -> tuple[Tensor, Tensor]:
    """Keys (d + 1, N) of the corners, one number a lattice point, and the strides (d,) of its coordinates.

    Args:
        origin: (d, N) int64, the corner whose coordinates are multiples of d + 1; the last one is implied.
        rank: (d + 1, N) int64, place of each coordinate in descending order of residues.
    """
    corners = len(rank)
    margin = 2 * corners  # other corners, and their neighbors
    lowest = origin.amin(1) - margin
    extent = origin.amax(1) + margin + 1 - lowest
    strides, stride = [], 1
    for size in extent.tolist():
        strides.append(stride)
        stride *= size
    if stride > _LARGEST_KEY:
        raise ValueError("the points lie too many standard deviations apart for a lattice: raise the sigmas")
    by_axis = torch.tensor([*strides, 0], device=rank.device)
    base = (by_axis[:-1, None] * (origin - lowest[:, None])).sum(0)
    # corner r is r further in every coordinate, less d + 1 in the r that rank last
    last = torch.empty_like(rank).scatter_(0, rank, by_axis[:, None].expand_as(rank)).flip(0)
    passed = last.cumsum(0) - last
    number = torch.arange(corners, device=rank.device)[:, None]
    return base + number * by_axis.sum() - corners * passed, by_axis[:-1]


def _steps(strides: Tensor) -> list[int]:
    """How far a key is from that of its neighbor along each of the d + 1 axes."""
    corners, every = len(strides) + 1, int(strides.sum())
    return [corners * stride - every for stride in [*strides.tolist(), 0]]


def _blur(points: Tensor, step: int) -> _Rows:
    """(1, 2, 1) / 2 along an axis, neighbors that are no lattice points counting 0.

    Args:
        points: (M,) keys, ascending.
        step: from a key to its neighbor's.
    """
    own = torch.arange(len(points), device=points.device)
    wanted = points + step
    ahead = torch.searchsorted(points, wanted).clamp_(max=len(points) - 1)
    found = points[ahead] == wanted
    behind, followed = own.clone(), torch.zeros_like(found)
    behind[ahead[found]] = own[found]  # whoever is ahead of a point has that one behind
    followed[ahead[found]] = True
    indices = torch.stack([own, torch.where(found, ahead, own), behind], 1)
    weights = torch.stack([torch.ones_like(found), found, followed], 1).float()
    weights[:, 1:] *= 0.5
    return _Rows(indices=indices.int(), weights=weights)
