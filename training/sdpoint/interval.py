"""How far a measured share may be from the true one by the choice of pictures alone."""

from __future__ import annotations

from scipy.stats import binomtest


def interval(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (1927), as fractions; n >= 1."""
    found = binomtest(hits, n).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)
