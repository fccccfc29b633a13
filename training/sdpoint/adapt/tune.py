"""Distillation without labels: what an instance has of its own is tuned until it answers as `full` does.

Its own are the scale and shift of the norm layers that its point reaches. All other weights stay shared and as they
were trained, so `full` stays the original network, bit for bit, and a few hundred pictures cannot spoil the rest.
(Tuning the depthwise filters too, or all weights of a copy, gave no more:
`results/adapt-efficientnet-lite0-trials.json`.)
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from sdpoint.adapt.statistics import divergence, trained_statistics
from sdpoint.calibrate import Statistics
from sdpoint.config import Config
from sdpoint.data import normalise
from sdpoint.instance import Instance
from sdpoint.models import Network
from sdpoint.models.network import norm_layers_before
from sdpoint.precision import autocast, chosen
from sdpoint.run import progress

SMALLEST = 0.65  # of the picture's side, that a crop may show
MIXED = 0.5  # of the crops are blended with another one
WARMUP = 10  # steps


@dataclass(frozen=True)
class Lessons:
    """images: [n, size, size, 3] uint8; answers: logits of `full` on them, [n, classes]."""

    images: Tensor
    answers: Tensor

    @cached_property
    def digest(self) -> str:
        """SHA-256 of both: which pictures of which network."""
        content = hashlib.sha256(self.images.contiguous().numpy())  # a gigabyte: not copied
        content.update(self.answers.contiguous().numpy())
        return content.hexdigest()


def crops(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random square of each picture, half of them mirrored: [n, s, s, 3] uint8 -> [n, size, size, 3] uint8."""
    side = pictures.shape[1]
    result = []
    for picture in pictures:
        shown = int(torch.randint(math.ceil(SMALLEST * side), side + 1, (), generator=generator))
        top, left = torch.randint(side - shown + 1, (2,), generator=generator).tolist()
        square = picture[top : top + shown, left : left + shown].permute(2, 0, 1).float()[None]
        cut = F.interpolate(square, (size, size), mode="bicubic", antialias=True, align_corners=False)
        cut = cut.flip(-1) if torch.rand((), generator=generator) < 0.5 else cut
        result.append(cut.clamp(0, 255).round().to(torch.uint8)[0].permute(1, 2, 0))
    return torch.stack(result)


def mixed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Some of them blended with another, which keeps less than half of the light: [n, h, w, 3] uint8 -> the same.

    Mixup (Zhang et al., 2018). `full` says what a blend looks like to it, so a few pictures hold many lessons (Beyer et
    al., Knowledge distillation: a good teacher is patient and consistent, 2022).
    """
    others = images[torch.randperm(len(images), generator=generator)]
    chosen, light = torch.rand((2, len(images)), generator=generator)
    other = torch.where(chosen < MIXED, light / 2, 0)[:, None, None, None]
    return torch.lerp(images.float(), others.float(), other).round().to(torch.uint8)


def own_parameters(model: Network, instance: Instance) -> list[str]:
    """Names of scale and shift of the norm layers that its point reaches."""
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    shared = norm_layers_before(model, instance.p)
    return [f"{name}.{part}" for name in norms if name not in shared for part in ("weight", "bias")]


def tune(model: Network, instance: Instance, lessons: Lessons, config: Config) -> Statistics:
    """The trained statistics, and scale and shift of its own as well. The model, in eval mode, is not changed.

    Adam; the rate falls from train.lr along a half cosine in train.epochs passes over the lessons.
    """
    settings, shared = config.train, dict(model.named_parameters())
    own = {name: shared[name].detach().clone().requires_grad_() for name in own_parameters(model, instance)}
    fixed = {name: value.detach() for name, value in shared.items() if name not in own}
    precision = chosen(settings.precision, lessons.images.device)
    optimizer = torch.optim.Adam(own.values(), lr=settings.lr)
    generator = torch.Generator().manual_seed(settings.seed)
    batches = [
        batch
        for _ in range(settings.epochs)
        for batch in torch.randperm(len(lessons.images), generator=generator).split(settings.batch)
    ]
    for step, batch in enumerate(progress(batches, instance.id)):
        for group in optimizer.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / len(batches)))
            group["lr"] = settings.lr * cosine * min(1, (step + 1) / WARMUP)
        x = normalise(lessons.images[batch], config.data)
        with autocast(precision, x.device):
            logits = functional_call(model, fixed | own, (x, instance))
        loss = divergence(logits.float(), lessons.answers[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"{instance.id}: loss is {loss.item()} at step {step}: lower train.lr")
    return trained_statistics(model) | {name: value.detach() for name, value in own.items()}
