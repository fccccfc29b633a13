"""The residual network for pictures of 224x224 (He et al. 2015, arXiv 1512.03385), as torchvision has it.

Post-activation blocks; in bottleneck blocks the 3x3 convolution has the stride, not the first 1x1.
"""

from __future__ import annotations

from sdpoint.config import IMAGENET_BLOCKS, ImageNetResNetConfig
from sdpoint.models.blocks import IMAGENET_STEM, PostActivation, imagenet_groups
from sdpoint.models.network import Network, NetworkPlan


class ImageNetResNet(Network):
    """Four groups behind a stem that ends in a max-pool."""

    @staticmethod
    def plan_of(config: ImageNetResNetConfig) -> NetworkPlan:
        return NetworkPlan(
            name=f"resnet-imagenet-{config.depth}",
            stem=IMAGENET_STEM,
            blocks=imagenet_groups(config.depth, IMAGENET_BLOCKS[config.depth], PostActivation),
            norm=False,
        )
