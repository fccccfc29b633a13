"""The residual network for pictures of 224x224 (He et al. 2015, arXiv 1512.03385), as torchvision has it.

Post-activation blocks; in bottleneck blocks the 3x3 convolution has the stride, not the first 1x1.
"""

from __future__ import annotations

from sdpoint.config import IMAGENET_BLOCKS, ImageNetResNetConfig
from sdpoint.models.blocks import Conv, PostActivation, StemPlan, basic, bottleneck, residual_groups
from sdpoint.models.network import Network, NetworkPlan


class ImageNetResNet(Network):
    """Four groups behind a stem that ends in a max-pool."""

    @staticmethod
    def plan_of(config: ImageNetResNetConfig) -> NetworkPlan:
        kind, outputs = (bottleneck, 256) if config.depth >= 50 else (basic, 64)
        return NetworkPlan(
            name=f"resnet-imagenet-{config.depth}",
            stem=StemPlan(Conv(3, 64, 7, 2), pools=True),
            blocks=residual_groups(64, outputs, IMAGENET_BLOCKS[config.depth], kind, PostActivation),
            norm=False,
        )
