"""The Pareto frontier of cost and accuracy: the instances that are worth offering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from scipy.optimize import isotonic_regression


class Point(NamedTuple):
    flops: int
    accuracy: float  # a fraction, or a count of right answers out of the same number


def dominates(a: Point, b: Point) -> bool:
    """Whether a costs no more than b, is no less accurate, and is better in at least one of the two."""
    return a.flops <= b.flops and a.accuracy >= b.accuracy and a != b


def frontier(points: Mapping[str, Point]) -> list[str]:
    """Ids of the points that no other point dominates, the cheapest first. Of equal points both stay."""
    kept = [id for id, point in points.items() if not any(dominates(other, point) for other in points.values())]
    return sorted(kept, key=lambda id: points[id])


def smoothed(points: Mapping[str, Point]) -> dict[str, float]:
    """Accuracies that never fall with the cost and are nearest to those measured (isotonic regression, least squares).

    If accuracies of many instances are measured on few pictures, the best ones are best partly by chance. Here
    neighbours in cost that are in the wrong order get their mean instead. points: at least one.
    """
    ids = sorted(points, key=lambda id: points[id])
    return dict(zip(ids, isotonic_regression([points[id].accuracy for id in ids]).x.tolist(), strict=True))
