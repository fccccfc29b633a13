"""Confidence interval of a measured share, such as an accuracy."""

from __future__ import annotations

from scipy.stats import binomtest


def interval(hits: int, n: int) -> tuple[float, float]:
    """95 % confidence interval (low, high) of the share hits / n, by Wilson (1927); n >= 1."""
    found = binomtest(hits, n).proportion_ci(0.95, "wilson")
    return float(found.low), float(found.high)
