"""One-to-one matching of two sets of pixels within a tolerance, as many pairs as possible.

Solved exactly, as a maximum flow. Two shortcuts would change the count: a distance transform lets many pixels
share a partner (an upper bound), and pairing off coincident pixels first can lose pairs. The time depends on
how crowded the smaller set is: noise against a label is quick, noise against noise takes seconds an image.
"""

import math

import numpy as np
from numpy.typing import NDArray


def tolerance_offsets(height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps (rows, columns) between pixels that are at most 0.0075 of the diagonal apart."""
    # y^2 + x^2 <= (3/400)^2 (H^2 + W^2) in integers: exact where the tolerance is a whole number of pixels
    limit = 9 * (height**2 + width**2)
    reach = math.isqrt(limit // 160_000)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    within = (rows**2 + columns**2) * 160_000 <= limit
    return rows[within], columns[within]


def matched_pairs(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> int:
    """How many pixels of two (H, W) sets can be paired one to one within the tolerance, at most."""
    height, width = first.shape
    few, many = sorted((np.flatnonzero(first), np.flatnonzero(second)), key=len)
    if few.size == 0:
        return 0
    rows, columns = tolerance_offsets(height, width)
    # A margin of `reach` cells on every side stands in for bounds checks; neighboring rows share theirs.
    reach = int(rows.max())
    stride = width + reach
    cells = np.full((height + 2 * reach) * stride + reach, -1, dtype=np.int32)
    cells[_padded(many, width, reach)] = np.arange(many.size, dtype=np.int32)
    near = cells[_padded(few, width, reach)[:, np.newaxis] + (rows * stride + columns)]  # (few, offsets)
    edge = near >= 0
    return _maximum_matching(np.count_nonzero(edge, axis=1), near[edge])


def _padded(flat: NDArray[np.int64], width: int, reach: int) -> NDArray[np.int64]:
    """Flat indices of an image as flat indices of the grid with margins."""
    row, column = np.divmod(flat, width)
    return (row + reach) * (width + reach) + column + reach


def _maximum_matching(degrees: NDArray[np.int64], partners: NDArray[np.int32]) -> int:
    """Size of the maximum matching of a bipartite graph.

    `degrees` (n,) counts the edges of each left vertex, `partners` (edges,) names their right vertices, left
    vertex by left vertex. Solved as a unit flow by Dinic's algorithm: scipy's maximum_bipartite_matching is
    as fast on most boundaries, and did not end within nine minutes on one (the foliage of a CamVid label
    against itself moved by 5 pixels, 10,000 pixels each) that takes 0.3 s here.
    """
    if partners.size == 0:
        return 0
    degrees = degrees[degrees > 0]
    used = np.zeros(int(partners.max()) + 1, dtype=np.int32)
    used[partners] = 1
    from scipy.sparse import csr_array  # where it is needed: importing it takes longer than numpy
    from scipy.sparse.csgraph import maximum_flow

    rank = np.cumsum(used, dtype=np.int32)  # 1 for the first right vertex that has an edge
    left, right, edges = degrees.size, int(rank[-1]), partners.size
    source, sink = left + right, left + right + 1
    # Rows of the network: left vertices, right vertices (one edge to the sink each), source, sink (no edge)
    row_ends = np.concatenate(
        [
            [0],
            np.cumsum(degrees),
            edges + np.arange(1, right + 1),
            [edges + right + left, edges + right + left],
        ]
    ).astype(np.int32)
    targets = np.concatenate(
        [left - 1 + rank[partners], np.full(right, sink), np.arange(left)],
    ).astype(np.int32)
    network = csr_array((np.ones(targets.size, dtype=np.int32), targets, row_ends), shape=(sink + 1, sink + 1))
    return int(maximum_flow(network, source, sink, method="dinic").flow_value)
