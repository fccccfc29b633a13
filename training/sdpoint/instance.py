"""Instances of a family: a downsampling point p with a ratio r, and their ids, which the service uses, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Instance:
    """One way of running the network (paper section 3.2).

    p: downsampling point, counted from the input; 0 means no downsampling.
    r: downsampling ratio in (0, 1]; it is 1 if and only if p is 0.
    """

    p: int
    r: float

    def __post_init__(self) -> None:
        if self.p < 0:
            raise ValueError(f"p is {self.p}; expected 0 (no downsampling) or a point >= 1")
        if not 0 < self.r <= 1:
            raise ValueError(f"r is {self.r}; expected a ratio in (0, 1]")
        if (self.p == 0) != (self.r == 1):
            raise ValueError(f"p={self.p}, r={self.r}: r is 1 exactly when p is 0")

    @property
    def id(self) -> str:
        """Name of the instance: `full`, or `p<2 digits>-r<thousandths>`, such as `p02-r500`."""
        return "full" if self.p == 0 else f"p{self.p:02d}-r{round(self.r * 1000):03d}"


FULL = Instance(0, 1.0)


def enumerate_instances(points: int, ratios: Sequence[float]) -> list[Instance]:
    """All instances of a network with points 1 to `points`: `full` first, then ordered by p and r."""
    return [FULL] + [Instance(p, r) for p in range(1, points + 1) for r in sorted(ratios)]
