"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): one number that makes probabilities mean what they say.

Fitted for each instance, so that "0.9" is right nine times in ten at every cost.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 0.05, 20.0  # a fit at either end means that the logits say nothing, or everything
GOLDEN = (math.sqrt(5) - 1) / 2


def negative_log_likelihood(logits: Tensor, labels: Tensor, temperature: float) -> float:
    """Mean in nats over pictures; logits: [n, classes], labels: [n]."""
    return F.cross_entropy(logits.double() / temperature, labels).item()


def fit_temperature(logits: Tensor, labels: Tensor, tolerance: float = 1e-4) -> float:
    """The temperature in [0.05, 20] with the least negative log-likelihood; `tolerance` is relative.

    The cost is convex in 1 / T, so it has one minimum in log T, which golden-section search finds.
    logits: [n, classes], n >= 1, labels: [n].
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
    """Expected calibration error, in 0..1: how far "I am 90 % sure" is from being right nine times in ten.

    Pictures fall by the probability of their answer into `bins` bins of equal width; the distance between a bin's mean
    probability and its share of right answers is averaged over pictures (Guo et al. 2017, section 2). logits:
    [n, classes], n >= 1, labels: [n].
    """
    sure, answers = F.softmax(logits.double() / temperature, dim=1).max(1)
    bin_of = (sure * bins).long().clamp(max=bins - 1)
    surplus = sure - (answers == labels).double()
    return torch.zeros(bins, dtype=torch.float64).index_add(0, bin_of, surplus).abs().sum().item() / len(labels)
