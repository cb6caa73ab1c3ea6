"""The Pareto front, by hand."""

import pytest

from harness.report.pareto import pareto_front


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(1.0, 1.0)], [0]),
        ([(2.0, 60.0), (1.0, 50.0)], [1, 0]),  # dearer and better: both, by cost
        ([(1.0, 50.0), (2.0, 50.0)], [0]),  # dearer and no better
        ([(1.0, 50.0), (1.0, 60.0)], [1]),  # as dear and better
        ([(1.0, 50.0), (1.0, 50.0)], [0, 1]),  # equals
        ([(3.0, 70.0), (2.0, 40.0), (1.0, 50.0), (4.0, 69.0)], [2, 0]),
    ],
)
def test_front(points: list[tuple[float, float]], front: list[int]) -> None:
    assert pareto_front(points) == front
