"""The learning rate over a run."""

from __future__ import annotations

import math

from sdpoint.config import TrainConfig


def learning_rate(epoch: float, train: TrainConfig) -> float:
    """The rate after so many epochs, in [0, train.epochs).

    one-cycle: from a tenth of the peak up a line over the warm-up share of the run, then a half cosine to 0. step: the
    rate, multiplied by `decay` at each milestone.
    """
    if train.schedule == "step":
        return train.lr * train.decay ** sum(epoch >= milestone for milestone in train.milestones)
    progress = epoch / train.epochs
    if progress < train.warmup:
        return train.lr * (0.1 + 0.9 * progress / train.warmup)
    return train.lr * 0.5 * (1 + math.cos(math.pi * (progress - train.warmup) / (1 - train.warmup)))
