"""Batch-norm statistics for the instances of an adapted network, from a few hundred pictures.

Estimated statistics are noisy, and they are not the ones that the weights were trained with: estimated on 800 pictures,
they make even `full` less accurate. So each instance gets a mixture of the trained and the estimated statistics. The
share is chosen such that the instance's answers are closest to those of `full`. `full`, and all layers before an
instance's point, keep the trained statistics, bit for bit.

Tuning (tune.py) starts from the trained statistics, not from these: the result is better.
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

SHARES = (0.0, 0.5, 1.0)  # shares of the estimated statistics that are tried
COMPARED = 100  # pictures on which the shares are compared


def trained_statistics(model: Network) -> Statistics:
    """The batch-norm statistics that were loaded with the weights."""
    return {name: value.clone() for name, value in model.named_buffers() if "running" in name}


def divergence(logits: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean Kullback-Leibler divergence in nats; its gradient is that of the cross-entropy with soft labels.

    logits: of an instance; target: of the teacher, such as `full`; both [n, classes], and divided by the temperature.
    The result is multiplied by its square, so that the size of gradients does not depend on it.
    """
    given, wanted = (F.log_softmax(values / temperature, 1) for values in (logits, target))
    return F.kl_div(given, wanted, log_target=True, reduction="batchmean") * temperature**2


def mixed(trained: Statistics, estimated: Statistics, share: float, kept: Sequence[str]) -> Statistics:
    """Mix two sets of statistics. share: weight of `estimated`, in 0 to 1; kept: norm layers that keep `trained`."""

    def mix(name: str, value: Tensor) -> Tensor:
        if name.rpartition(".")[0] in kept:
            return value.clone()
        return torch.lerp(value, estimated[name], share)

    return {name: mix(name, value) for name, value in trained.items()}


def mixed_statistics(
    model: Network, instance: Instance, images: Tensor, target: Tensor, data: DataConfig
) -> tuple[Statistics, float]:
    """Statistics for an instance, and the share of the estimated statistics in them.

    The share is chosen on pictures that were left out of the estimate; then the estimate is repeated on all pictures.
    images: [n, h, w, 3] uint8, in random order; target: logits of `full` for them, [n, classes]. The model must be in
    eval mode.
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
