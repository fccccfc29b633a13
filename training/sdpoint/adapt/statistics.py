"""Batch-norm statistics of instances of a network that others trained, from a few hundred pictures.

Statistics estimated anew are noisy, and are not the ones that the weights were trained with: on 800 pictures even
`full` loses by them. So an instance takes a mixture of trained and estimated ones. How much of each, full's own answers
decide: the instance should give the same. `full` keeps the trained statistics, bit for bit, and with it every layer
before a point. Tuning (tune.py) starts from the trained ones: it can make good what they lack, and ends higher.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sdpoint.calibrate import Statistics, estimate
from sdpoint.config import DataConfig
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance
from sdpoint.models import Network
from sdpoint.models.network import norm_layers_before

SHARES = (0.0, 0.5, 1.0)  # of the estimated statistics
COMPARED = 100  # pictures on which they are compared


def trained_statistics(model: Network) -> Statistics:
    """Those that came with the weights."""
    return {name: value.clone() for name, value in model.named_buffers() if "running" in name}


def divergence(logits: Tensor, target: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence from the answers of `full`, in nats; both [n, classes]."""
    return F.kl_div(F.log_softmax(logits, 1), F.log_softmax(target, 1), log_target=True, reduction="batchmean")


def mixed(trained: Statistics, estimated: Statistics, share: float, kept: Sequence[str]) -> Statistics:
    """share: of the estimated statistics, in 0 to 1; kept: norm layers whose statistics stay the trained ones."""

    def mix(name: str, value: Tensor) -> Tensor:
        if name.rpartition(".")[0] in kept:
            return value.clone()
        return torch.lerp(value, estimated[name], share)

    return {name: mix(name, value) for name, value in trained.items()}


def mixed_statistics(
    model: Network, instance: Instance, images: Tensor, target: Tensor, data: DataConfig
) -> tuple[Statistics, float]:
    """Statistics of an instance, and the share in them of those estimated, from all pictures.

    The share is chosen on pictures that the compared estimate has not seen. images: [n, h, w, 3] uint8, in random
    order; target: logits of `full` on them, [n, classes]. The model must be in eval mode.
    """
    trained, count = trained_statistics(model), min(COMPARED, len(images) // 2)
    if instance == FULL:
        return trained, 0.0
    seen, others, kept = images[:count], images[count:], norm_layers_before(model, instance.p)
    estimated = estimate(model, instance, others, data)

    def cost(share: float) -> float:
        logits = logits_of(model, instance, mixed(trained, estimated, share, kept), seen, data)
        return divergence(logits, target[:count]).item()

    share = min(SHARES, key=cost)
    whole = estimate(model, instance, images, data) if share else estimated
    return mixed(trained, whole, share, kept), share
