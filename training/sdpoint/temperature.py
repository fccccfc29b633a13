"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): calibrates probabilities by dividing logits by a
temperature.

A temperature is fitted for each instance, so that answers with probability 0.9 are right nine times in ten at every
cost.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0  # bounds; a fit there means that the logits are useless, or perfect
GOLDEN = (math.sqrt(5) - 1) / 2


def negative_log_likelihood(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Mean negative log-likelihood of the labels in nats. logits: [n, classes]; labels: [n]."""
    return F.cross_entropy(logits.double() / temperature, labels).item()


def fit_temperature(logits: Tensor, labels: Tensor, tolerance: float = 1e-4) -> float:
    """The temperature T in [LOWEST, HIGHEST] with the least negative log-likelihood. tolerance: relative.

    The negative log-likelihood is convex in 1 / T, so it has a single minimum in log T; golden-section search finds it.
    logits: [n, classes], n >= 1; labels: [n].
    """

    def cost(log_temperature: float) -> float:
        return negative_log_likelihood(logits, labels, math.exp(log_temperature))

    low, high = math.log(LOWEST), math.log(HIGHEST)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = cost(right)
    return math.exp((low + high) / 2)


def calibration_error(logits: Tensor, labels: Tensor, temperature: float = 1.0, bins: int = 15) -> float:
    """Expected calibration error in 0 to 1 (Guo et al. 2017, section 2).

    Pictures are sorted into `bins` bins of equal width by the probability of their answer. The error is the distance
    between the mean probability of a bin and its share of right answers, averaged over pictures. logits: [n, classes],
    n >= 1; labels: [n].
    """
    sure, answers = F.softmax(logits.double() / temperature, dim=1).max(1)
    bin_of = (sure * bins).long().clamp(max=bins - 1)
    surplus = sure - (answers == labels).double()
    return torch.zeros(bins, dtype=torch.float64).index_add(0, bin_of, surplus).abs().sum().item() / len(labels)
