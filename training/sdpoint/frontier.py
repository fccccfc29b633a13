"""Which instances are worth having: the Pareto frontier of cost and accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


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
