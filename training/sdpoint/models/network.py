"""The base class of all networks: a stem, blocks with downsampling points between them, and a classifier.

Point p = 1 lies after the stem, point p = k + 1 after block k; blocks count from 1. There is no point after the last
block, as downsampling there would save nothing.
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
    """The numbers that determine a network's layers and cost, except the number of classes."""

    name: str
    stem: Part
    blocks: tuple[Part, ...]
    norm: bool = True  # before the classifier: norm and ReLU if true, else only ReLU
    head: Part | None = None  # replaces norm and ReLU before the classifier

    @property
    def points(self) -> int:
        """Number of downsampling points: p is 0 (no downsampling) to this number."""
        return len(self.blocks)

    @property
    def features(self) -> int:
        """Number of input channels of the classifier."""
        return (self.head or self.blocks[-1]).outputs


class Network(nn.Module):
    """A network whose instance is an argument of `forward`, not a state. Subclasses implement `plan_of`."""

    @staticmethod
    def plan_of(config: ModelConfig) -> NetworkPlan:
        raise NotImplementedError

    def __init__(self, config: ModelConfig, classes: int) -> None:
        """config: section `model` of the configuration, of the kind that belongs to the subclass."""
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
        """The feature map at point p, downsampled by ratio. x: [n, 3, h, w], normalised; returned as it is if p is 0.

        Raises ValueError if the network has no such point.
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
        """The operation D on a feature map [n, c, h, w], of the kind `model.pooling`."""
        return downsample(h, ratio, self.config.pooling)

    def after(self, h: Tensor, p: int) -> Tensor:
        """Logits [n, classes] from the feature map h at point p, which may have any height and width."""
        if p == 0:
            h, p = self.stem(h), 1
        for block in self.blocks[p - 1 :]:
            h = block(h)
        return self.fc(self.features(h).mean((2, 3)))

    def features(self, h: Tensor) -> Tensor:
        """The map [n, features, h, w] that is averaged for the classifier. h: output of the last block."""
        if self.head is not None:
            return self.head(h)
        return F.relu(h if self.bn is None else self.bn(h))

    def forward(self, x: Tensor, instance: Instance) -> Tensor:
        """Logits [n, classes] of an instance. x: [n, 3, h, w] float32, normalised."""
        return self.after(self.before(x, instance.p, instance.r), instance.p)

    def fork(self, x: Tensor, instance: Instance) -> tuple[Tensor, Tensor]:
        """The feature maps at the instance's point: (of `full`, of the instance). x: as in `forward`.

        The layers before the point run once for both. An exception is p = 1 after a pooling stem, which runs twice,
        because its own pooling does the downsampling.
        """
        h = self.before(x, instance.p)
        if instance.p == 1 and isinstance(self.stem, PoolingStem):
            return h, self.before(x, instance.p, instance.r)
        return h, self.downsample(h, instance.r)


def norm_layers_before(model: Network, p: int) -> list[str]:
    """Names of the norm layers before point p, whose inputs are the same as in `full`. Empty if p is 0."""
    parts = ["stem", *(f"blocks.{index}" for index in range(p - 1))] if p else []
    return [
        f"{part}.{name}"
        for part in parts
        for name, module in model.get_submodule(part).named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
