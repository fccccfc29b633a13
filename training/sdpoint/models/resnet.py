"""The residual network for 224x224 pictures (He et al. 2015, arXiv 1512.03385), as in torchvision.

Its blocks are post-activation blocks. In bottleneck blocks the stride belongs to the 3x3 convolution, not to the first
1x1.
"""

from __future__ import annotations

from sdpoint.config import IMAGENET_BLOCKS, ImageNetResNetConfig
from sdpoint.models.blocks import IMAGENET_STEM, PostActivation, imagenet_groups
from sdpoint.models.network import Network, NetworkPlan


class ImageNetResNet(Network):
    """ResNet for 224x224 pictures: four groups of blocks behind a stem that ends with a max-pool."""

    @staticmethod
    def plan_of(config: ImageNetResNetConfig) -> NetworkPlan:
        return NetworkPlan(
            name=f"resnet-imagenet-{config.depth}",
            stem=IMAGENET_STEM,
            blocks=imagenet_groups(config.depth, IMAGENET_BLOCKS[config.depth], PostActivation),
            norm=False,
        )
