"""Schedules of the learning rate."""

from __future__ import annotations

import math

from sdpoint.config import TrainConfig


def learning_rate(epoch: float, train: TrainConfig) -> float:
    """The learning rate after `epoch` epochs, in [0, train.epochs); fractions are allowed.

    one-cycle: a linear rise from a tenth of train.lr to train.lr over the share train.warmup of the run, then a half
    cosine to 0. step: train.lr, multiplied by train.decay at each milestone.
    """
    if train.schedule == "step":
        return train.lr * train.decay ** sum(epoch >= milestone for milestone in train.milestones)
    progress = epoch / train.epochs
    if progress < train.warmup:
        return train.lr * (0.1 + 0.9 * progress / train.warmup)
    return train.lr * 0.5 * (1 + math.cos(math.pi * (progress - train.warmup) / (1 - train.warmup)))
