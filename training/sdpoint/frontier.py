"""Which instances are worth having: the Pareto frontier of cost and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from scipy.optimize import isotonic_regression


class Point(NamedTuple):
    flops: int
    accuracy: float  # a fraction, or a count of right answers out of the same number


def dominates(a: Point, b: Point) -> bool:
    """a costs no more and is no less accurate than b, and is better in one of the two."""
    return a.flops <= b.flops and a.accuracy >= b.accuracy and a != b


def frontier(points: Mapping[str, Point]) -> list[str]:
    """Ids that no other dominates, from cheap to dear. Equal points do not dominate each other: both stay."""
    kept = [id for id, point in points.items() if not any(dominates(other, point) for other in points.values())]
    return sorted(kept, key=lambda id: points[id])


def smoothed(points: Mapping[str, Point]) -> dict[str, float]:
    """Accuracies nearest to those measured that never fall as the cost grows (isotonic regression, least squares).

    On few pictures, many instances measured and the best of each cost picked, chance would be picked; neighbours in
    cost that are in the wrong order get their mean instead. points: at least one.
    """
    ids = sorted(points, key=lambda id: points[id])
    return dict(zip(ids, isotonic_regression([points[id].accuracy for id in ids]).x.tolist(), strict=True))
