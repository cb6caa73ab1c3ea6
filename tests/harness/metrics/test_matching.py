"""The matching has maximum cardinality: against augmenting paths on small sets, and known cases."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from harness.metrics.matching import matched_pairs, tolerance_offsets

# Diagonal 1000, tolerance 7.5 pixels, without the cost of a large array: rows stay few.
WIDE = (2, 1000)


def pixels(shape: tuple[int, int], points: Iterable[tuple[int, int]]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for row, column in points:
        mask[row, column] = True
    return mask


def augmenting_paths(first: np.ndarray, second: np.ndarray, tolerance: float) -> int:
    """Maximum matching by the textbook method (Kuhn), one vertex after another."""
    left, right = np.argwhere(first), np.argwhere(second)
    distances = np.hypot(*(left[:, None] - right[None]).transpose(2, 0, 1))
    near: list[list[int]] = [np.flatnonzero(row).tolist() for row in distances <= tolerance]
    partner: dict[int, int] = {}

    def augment(vertex: int, seen: set[int]) -> bool:
        for other in near[vertex]:
            if other not in seen:
                seen.add(other)
                if other not in partner or augment(partner[other], seen):
                    partner[other] = vertex
                    return True
        return False

    return sum(augment(vertex, set()) for vertex in range(len(left)))


def test_tolerance_is_that_of_the_paper_size() -> None:
    rows, columns = tolerance_offsets(360, 480)
    distances = np.hypot(rows, columns)
    assert len(rows) == 69  # integer points in a circle of radius 4.5
    assert distances.max() == pytest.approx(np.hypot(4, 2))
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 69


def test_tolerance_that_is_a_whole_number_of_pixels_includes_it() -> None:
    # 240 x 320: diagonal 400, 0.0075 * 400 = 3
    rows, columns = tolerance_offsets(240, 320)
    assert rows.max() == columns.max() == 3
    # 80 x 60: diagonal 100, tolerance 0.75: the pixel itself alone
    assert [x.tolist() for x in tolerance_offsets(80, 60)] == [[0], [0]]


@pytest.mark.parametrize(("gap", "pairs"), [(0, 1), (3, 1), (4, 0)])
def test_tolerance_decides(gap: int, pairs: int) -> None:
    first = pixels((240, 320), [(100, 100)])
    assert matched_pairs(first, pixels((240, 320), [(100, 100 + gap)])) == pairs
    assert matched_pairs(first, pixels((240, 320), [(100 - gap, 100)])) == pairs


def test_nothing_reaches_around_the_edges_of_the_image() -> None:
    shape = (240, 320)
    corners = [(0, 0), (0, 319), (239, 0), (239, 319)]
    for one in corners:
        for other in corners:
            assert matched_pairs(pixels(shape, [one]), pixels(shape, [other])) == (one == other)
    # the end of one row and the start of the next lie side by side in memory
    assert matched_pairs(pixels(shape, [(9, 319)]), pixels(shape, [(10, 0)])) == 0


def test_empty_sets_match_nothing() -> None:
    some, none = pixels((240, 320), [(3, 3)]), pixels((240, 320), [])
    assert matched_pairs(some, none) == matched_pairs(none, some) == matched_pairs(none, none) == 0


def test_pairing_off_coincident_pixels_first_would_lose_a_pair() -> None:
    # tolerance 3, on a line: labels at 10 and 13, predictions at 7 and 10
    first = pixels((240, 320), [(5, 10), (5, 13)])
    second = pixels((240, 320), [(5, 7), (5, 10)])
    assert matched_pairs(first, second) == 2


def test_one_partner_each_where_a_distance_transform_lets_them_share() -> None:
    first = pixels((240, 320), [(5, 10), (5, 11), (5, 12)])
    second = pixels((240, 320), [(6, 11)])
    assert matched_pairs(first, second) == 1
    assert np.count_nonzero(distance_transform_edt(~second)[first] <= 3) == 3


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.tuples(st.floats(0.01, 0.6), st.floats(0.01, 0.6)),
    columns=st.integers(4, 40),
)
def test_as_many_as_augmenting_paths_find(seed: int, density: tuple[float, float], columns: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = np.zeros(WIDE, bool), np.zeros(WIDE, bool)
    first[:, :columns] = rng.random((2, columns)) < density[0]
    second[:, -columns:] = rng.random((2, columns)) < density[1]
    second[:, :columns] |= rng.random((2, columns)) < density[1]
    expected = augmenting_paths(first, second, 7.5)
    assert matched_pairs(first, second) == expected
    assert matched_pairs(second, first) == expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.tuples(st.integers(0, 60), st.integers(0, 60)))
def test_as_many_as_augmenting_paths_find_in_the_plane(seed: int, count: tuple[int, int]) -> None:
    # 90 x 120: diagonal 150, tolerance 1.125; 240 x 320 cropped to a corner: tolerance 3
    rng = np.random.default_rng(seed)
    for shape, tolerance in (((90, 120), 1.125), ((240, 320), 3.0)):
        first, second = np.zeros(shape, bool), np.zeros(shape, bool)
        for mask, points in zip((first, second), count, strict=True):
            mask[rng.integers(0, 14, points), rng.integers(0, 14, points)] = True
        assert matched_pairs(first, second) == augmenting_paths(first, second, tolerance)
