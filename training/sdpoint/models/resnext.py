"""ResNeXt (Xie et al. 2017, arXiv 1611.05431): post-activation bottleneck blocks whose 3x3 convolution has groups."""

from __future__ import annotations

from sdpoint.config import IMAGENET_BLOCKS, ImageNetResNeXtConfig, ResNeXtConfig
from sdpoint.models.blocks import IMAGENET_STEM, Chain, Conv, PostActivation, StemPlan, residual_groups
from sdpoint.models.network import Network, NetworkPlan

OUTPUTS = 256  # output channels of the first group of blocks


def _grouped(cardinality: int, width: int) -> Chain:
    """Bottleneck convolutions whose 3x3 convolution has `cardinality` groups.

    Each has `width` channels in the first group of blocks, and doubles with the output channels.
    """

    def chain(inputs: int, outputs: int, stride: int) -> tuple[Conv, ...]:
        inner = cardinality * width * outputs // OUTPUTS
        return Conv(inputs, inner, 1), Conv(inner, inner, 3, stride, cardinality), Conv(inner, outputs, 1)

    return chain


class ResNeXt(Network):
    """ResNeXt for small pictures: (depth - 2) / 9 blocks in each of three groups (section 5.3)."""

    @staticmethod
    def plan_of(config: ResNeXtConfig) -> NetworkPlan:
        chain, count = _grouped(config.cardinality, config.width), (config.depth - 2) // 9
        return NetworkPlan(
            name=f"resnext-{config.depth}-{config.cardinality}x{config.width}d",
            stem=StemPlan(Conv(3, 64, 3)),
            blocks=residual_groups(64, OUTPUTS, [count] * 3, chain, PostActivation),
            norm=False,
        )


class ImageNetResNeXt(Network):
    """ResNeXt for 224x224 pictures: four groups of blocks behind a stem that ends with a max-pool (table 1)."""

    @staticmethod
    def plan_of(config: ImageNetResNeXtConfig) -> NetworkPlan:
        chain = _grouped(config.cardinality, config.width)
        return NetworkPlan(
            name=f"resnext-imagenet-{config.depth}-{config.cardinality}x{config.width}d",
            stem=IMAGENET_STEM,
            blocks=residual_groups(64, OUTPUTS, IMAGENET_BLOCKS[config.depth], chain, PostActivation),
            norm=False,
        )
