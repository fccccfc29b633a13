"""Batch-norm statistics (running mean and variance) for each instance (paper section 3.3).

The learned scale and shift are shared by all instances. The statistics of every instance are estimated in the same way:
a fixed set of training pictures, preprocessed as for evaluation, in batches of 250, with the cumulative mean over
batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sdpoint.config import DataConfig
from sdpoint.data import Split, in_memory, normalise
from sdpoint.instance import FULL, Instance
from sdpoint.models.network import norm_layers_before
from sdpoint.run import progress

BATCH = 250
PICTURES = 10_000

Statistics = dict[str, Tensor]
"""Buffer name (`blocks.0.bn1.running_mean`) -> [channels] float32, for every norm layer of the network.

With them are all other tensors that an instance has of its own: scale and shift if it was distilled, and a classifier
if the network was taught new classes.
"""


def calibration_pictures(part: Split, count: int | None = None) -> Tensor:
    """A fixed random sample of the training pictures, [n, h, w, 3] uint8.

    count: default PICTURES; all if there are fewer.
    """
    generator = torch.Generator().manual_seed(0)
    return in_memory(part.images[torch.randperm(len(part), generator=generator)[: count or PICTURES]])


@contextmanager
def _estimating(model: nn.Module) -> Iterator[dict[str, nn.BatchNorm2d]]:
    """Put only the norm layers into train mode, with cumulative averages; restore modes, momenta and buffers
    afterwards.

    Yields the norm layers by name.
    """
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    modes = {m: m.training for m in model.modules()}
    momenta = {name: norm.momentum for name, norm in norms.items()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.eval()
    for norm in norms.values():
        norm.train()
        norm.momentum = None
    try:
        yield norms
    finally:
        for module, mode in modes.items():
            module.training = mode
        for name, norm in norms.items():
            norm.momentum = momenta[name]
        model.load_state_dict(buffers, strict=False)


@torch.no_grad()
def estimate(model: nn.Module, configuration: Any, images: Tensor, data: DataConfig) -> Statistics:
    """Estimate the statistics of one configuration on images [n, h, w, 3] uint8. The model is not changed."""
    device = next(model.parameters()).device
    with _estimating(model) as norms:
        for norm in norms.values():
            norm.reset_running_stats()
        for batch in images.split(BATCH):
            model(normalise(batch.to(device), data), configuration)
        return {
            f"{name}.{buffer}": getattr(norm, buffer).clone().cpu()
            for name, norm in norms.items()
            for buffer in ("running_mean", "running_var")
        }


def calibrate(
    model: nn.Module, configurations: Sequence[Any], images: Tensor, data: DataConfig
) -> dict[str, Statistics]:
    """Estimate the statistics of every configuration on images [n, h, w, 3] uint8; returns them by id.

    configurations: values that the model's `forward` takes as second argument, such as instances. The layers before an
    instance's point p get the same inputs as in `full`, so their statistics are copied from `full`, bit for bit.
    """
    result = {c.id: estimate(model, c, images, data) for c in progress(configurations, "calibrate")}
    instances = [c for c in configurations if isinstance(c, Instance) and c != FULL]
    full = result.get(FULL.id) or (instances and estimate(model, FULL, images, data))
    for instance in instances:
        shared = norm_layers_before(model, instance.p)
        same = {name: value.clone() for name, value in full.items() if name.rpartition(".")[0] in shared}
        result[instance.id] |= same
    return result
