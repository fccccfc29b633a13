"""Distillation without labels: tunes an instance's own parameters so that it answers as `full` does.

An instance's own parameters are the scale and shift of the norm layers behind its point. All other weights stay shared
and unchanged, so `full` stays the original network, bit for bit, and the few pictures cannot make it worse. (Tuning the
depthwise filters, too, or all weights of a copy, gave no better results:
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

SMALLEST = 0.65  # side of the smallest crop, as a share of the picture's side
MIXED = 0.5  # share of the crops that are blended with another one
WARMUP = 10  # steps in which the learning rate rises


@dataclass(frozen=True)
class Lessons:
    """Pictures for the distillation, with targets.

    images: [n, size, size, 3] uint8; answers: logits of `full`, [n, classes].
    """

    images: Tensor
    answers: Tensor

    @cached_property
    def digest(self) -> str:
        """SHA-256 of images and answers; identifies the pictures and the network."""
        content = hashlib.sha256(self.images.contiguous().numpy())  # up to a gigabyte, so not copied to bytes
        content.update(self.answers.contiguous().numpy())
        return content.hexdigest()


def crops(pictures: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Crop a random square of each picture and mirror half of them: [n, s, s, 3] uint8 -> [n, size, size, 3] uint8."""
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
    """Mixup (Zhang et al., 2018): blend half of the images with another one, of weight below 0.5; [n, h, w, 3] uint8.

    The targets of the blends are the answers of `full` to them, so that few pictures give many different examples
    (Beyer et al., Knowledge distillation: a good teacher is patient and consistent, 2022).
    """
    others = images[torch.randperm(len(images), generator=generator)]
    chosen, light = torch.rand((2, len(images)), generator=generator)
    other = torch.where(chosen < MIXED, light / 2, 0)[:, None, None, None]
    return torch.lerp(images.float(), others.float(), other).round().to(torch.uint8)


def own_parameters(model: Network, instance: Instance) -> list[str]:
    """Names of the scale and shift of the norm layers behind the instance's point."""
    norms = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    shared = norm_layers_before(model, instance.p)
    return [f"{name}.{part}" for name in norms if name not in shared for part in ("weight", "bias")]


def tune(model: Network, instance: Instance, lessons: Lessons, config: Config) -> Statistics:
    """Tune an instance. Returns the trained statistics together with the tuned scale and shift of its norm layers.

    The optimizer is Adam; the learning rate falls from train.lr as a half cosine, over train.epochs passes. The model
    must be in eval mode, and is not changed. Raises FloatingPointError if the loss is not finite.
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
