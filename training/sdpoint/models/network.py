"""What all networks have in common: a stem, blocks with downsampling points between them, a classifier.

Points: p = 1 after the stem, p = k + 1 after block k, counted from 1. A point after the last block would save
nothing and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import ModelConfig
from sdpoint.downsample import downsample
from sdpoint.instance import Instance
from sdpoint.models.blocks import Part, PoolingStem


@dataclass(frozen=True)
class NetworkPlan:
    """The numbers that decide a network's layers and cost, all but the number of classes."""

    name: str
    stem: Part
    blocks: tuple[Part, ...]
    norm: bool = True  # whether norm and ReLU stand before the classifier, or only a ReLU
    head: Part | None = None  # stands there instead of both

    @property
    def points(self) -> int:
        """How many places there are for downsampling: p runs from 0 (none) to this number."""
        return len(self.blocks)

    @property
    def features(self) -> int:
        """Channels that the classifier sees."""
        return (self.head or self.blocks[-1]).outputs


class Network(nn.Module):
    """`forward(x, instance)` keeps no state: the instance is an argument. Subclasses say how they are planned."""

    @staticmethod
    def plan_of(config: ModelConfig) -> NetworkPlan:
        raise NotImplementedError

    def __init__(self, config: ModelConfig, classes: int) -> None:
        """config: the model section of the configuration, of the subclass's kind."""
        super().__init__()
        self.config, self.classes, self.plan = config, classes, self.plan_of(config)
        features, head = self.plan.features, self.plan.head
        self.stem = self.plan.stem.build()
        self.blocks = nn.ModuleList(block.build() for block in self.plan.blocks)
        self.bn = nn.BatchNorm2d(features) if self.plan.norm and head is None else None
        self.head = head.build() if head else None
        self.fc = nn.Linear(features, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def points(self) -> int:
        return self.plan.points

    def before(self, x: Tensor, p: int, ratio: float = 1.0) -> Tensor:
        """x: [n, 3, h, w] normalised -> the feature map at point p, downsampled by ratio (x itself if p is 0).

        Raises ValueError if there is no such point.
        """
        if not 0 <= p <= self.points:
            raise ValueError(f"p is {p}; {self.name} has points 0 to {self.points}")
        if p == 0:
            return x
        if p == 1 and isinstance(self.stem, PoolingStem):
            return self.stem(x, ratio)
        h = self.stem(x)
        for block in self.blocks[: p - 1]:
            h = block(h)
        return self.downsample(h, ratio)

    def downsample(self, h: Tensor, ratio: float) -> Tensor:
        """The operation D, as `model.pooling` says."""
        return downsample(h, ratio, self.config.pooling)

    def after(self, h: Tensor, p: int) -> Tensor:
        """h: the feature map at point p, of any height and width -> logits [n, classes]."""
        if p == 0:
            h, p = self.stem(h), 1
        for block in self.blocks[p - 1 :]:
            h = block(h)
        return self.fc(self.features(h).mean((2, 3)))

    def features(self, h: Tensor) -> Tensor:
        """What the last block gives -> the map [n, features, h, w] that is averaged for the classifier."""
        if self.head is not None:
            return self.head(h)
        return F.relu(h if self.bn is None else self.bn(h))

    def forward(self, x: Tensor, instance: Instance) -> Tensor:
        """x: [n, 3, h, w] float32, normalised -> logits [n, classes] of that instance."""
        return self.after(self.before(x, instance.p, instance.r), instance.p)

    def fork(self, x: Tensor, instance: Instance) -> tuple[Tensor, Tensor]:
        """x as in `forward` -> the maps at the instance's point of `full` and of the instance.

        What comes before runs once (a stem that pools, twice: its own pooling does the downsampling).
        """
        h = self.before(x, instance.p)
        if instance.p == 1 and isinstance(self.stem, PoolingStem):
            return h, self.before(x, instance.p, instance.r)
        return h, self.downsample(h, instance.r)


def norm_layers_before(model: Network, p: int) -> list[str]:
    """Names of the norm layers that point p does not reach: they see what the full instance sees. None if p is 0."""
    parts = ["stem", *(f"blocks.{index}" for index in range(p - 1))] if p else []
    return [
        f"{part}.{name}"
        for part in parts
        for name, module in model.get_submodule(part).named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
