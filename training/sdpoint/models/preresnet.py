"""Pre-activation residual networks (He et al. 2016, arXiv 1603.05027)."""

from __future__ import annotations

from sdpoint.config import IMAGENET_BLOCKS, ImageNetPreResNetConfig, PreResNetConfig
from sdpoint.models.blocks import (
    IMAGENET_STEM,
    Conv,
    PreActivation,
    basic,
    bottleneck,
    imagenet_groups,
    residual_groups,
)
from sdpoint.models.network import Network, NetworkPlan


class PreResNet(Network):
    """PreResNet for small pictures: three groups of (depth - 2) / 6 basic or (depth - 2) / 9 bottleneck blocks."""

    @staticmethod
    def plan_of(config: PreResNetConfig) -> NetworkPlan:
        kind, layers, outputs = (bottleneck, 3, 64) if config.bottleneck else (basic, 2, 16)
        count = (config.depth - 2) // (3 * layers)
        return NetworkPlan(
            name=f"preresnet-{config.depth}" + ("-bottleneck" if config.bottleneck else ""),
            stem=Conv(3, 16, 3),
            blocks=residual_groups(16, outputs, [count] * 3, kind, PreActivation),
        )


class ImageNetPreResNet(Network):
    """PreResNet for 224x224 pictures: four groups of blocks behind a stem that ends with a max-pool."""

    @staticmethod
    def plan_of(config: ImageNetPreResNetConfig) -> NetworkPlan:
        return NetworkPlan(
            name=f"preresnet-imagenet-{config.depth}",
            stem=IMAGENET_STEM,
            blocks=imagenet_groups(config.depth, IMAGENET_BLOCKS[config.depth], PreActivation),
        )
