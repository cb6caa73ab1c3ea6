"""The Pareto front of networks that cost something and score something."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The points that no other beats: none costs no more and scores no less without being its equal.

    Args:
        points: (cost, score) of each; less cost and more score are better.

    Returns:
        Their places in `points`, by cost; equal points all stand on the front.
    """

    def beaten(cost: float, score: float) -> bool:
        return any(other <= cost and better >= score and (other, better) != (cost, score) for other, better in points)

    front = [place for place, point in enumerate(points) if not beaten(*point)]
    return sorted(front, key=lambda place: (points[place], place))
