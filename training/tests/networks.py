"""Networks for tests: the published ones by name, and a tiny one of each kind."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from sdpoint.config import (
    DenseNetConfig,
    EfficientNetLiteConfig,
    ImageNetPreResNetConfig,
    ImageNetResNetConfig,
    ImageNetResNeXtConfig,
    ModelConfig,
    PreResNetConfig,
    ResNeXtConfig,
    WideResNetConfig,
)
from sdpoint.instance import Instance, enumerate_instances
from sdpoint.models import NETWORKS, Network, plan_network


@dataclass(frozen=True)
class Case:
    """A network of a given configuration for pictures of size x size."""

    config: ModelConfig
    classes: int = 10
    size: int = 32

    @property
    def name(self) -> str:
        return plan_network(self.config).name

    @property
    def instances(self) -> list[Instance]:
        return enumerate_instances(plan_network(self.config).points, self.config.ratios)

    def build(self, device: str = "cpu") -> Network:
        """Build the network. On the device "meta" nothing is stored or computed; it serves to count."""
        with torch.device(device):
            return NETWORKS[self.config.kind](self.config, self.classes)


PUBLISHED = [
    Case(WideResNetConfig(depth=16, width=2)),
    Case(WideResNetConfig(depth=16, width=10)),
    Case(WideResNetConfig(depth=28, width=10)),
    Case(WideResNetConfig(depth=40, width=8)),
    Case(PreResNetConfig(depth=20)),
    Case(PreResNetConfig(depth=56)),
    Case(PreResNetConfig(depth=110)),
    Case(PreResNetConfig(depth=164, bottleneck=True)),
    Case(ResNeXtConfig(cardinality=32, width=4)),
    Case(ResNeXtConfig(cardinality=8, width=64)),
    Case(ResNeXtConfig(cardinality=16, width=64)),
    Case(DenseNetConfig(depth=100, growth=12)),
    Case(DenseNetConfig(depth=190, growth=40)),
    *(Case(ImageNetPreResNetConfig(depth=depth), classes=1000, size=224) for depth in (18, 50, 101)),
    *(Case(ImageNetResNeXtConfig(depth=depth), classes=1000, size=224) for depth in (50, 101)),
    *(Case(ImageNetResNetConfig(depth=depth), classes=1000, size=224) for depth in (18, 50)),
    *(Case(EfficientNetLiteConfig(variant=v), 1000, size) for v, size in enumerate((224, 240, 260))),
]

TINY = [
    Case(WideResNetConfig(depth=10, width=1, base=4), 3, 16),
    Case(PreResNetConfig(depth=14), 3, 16),
    Case(PreResNetConfig(depth=11, bottleneck=True), 3, 16),
    Case(ResNeXtConfig(depth=11, cardinality=2, width=4), 3, 16),
    Case(DenseNetConfig(depth=16, growth=4), 3, 16),
    Case(ImageNetPreResNetConfig(depth=18), 3, 64),
    Case(ImageNetResNeXtConfig(depth=50, cardinality=2, width=2), 3, 64),
    Case(ImageNetResNetConfig(depth=18), 3, 64),
    Case(EfficientNetLiteConfig(ratios=(0.75,)), 3, 64),
]


def by_name(cases: list[Case]) -> dict[str, Case]:
    return {case.name: case for case in cases}


def with_random_norms(model: Network) -> Network:
    """Set random scale, shift and statistics in all norm layers, and eval mode; returns the model.

    With the initial values 1 and 0 a mistake could go unnoticed.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.fill_(7)
    return model.eval()
