"""EfficientNet-Lite: inverted residual blocks with ReLU6 and without squeeze-and-excitation.

Tan & Le 2019, arXiv 1905.11946; the Lite variants as in the official TensorFlow code (tensorflow/tpu,
models/official/efficientnet/lite): the stem, the head, and the depth of the first and last stage are not scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import EfficientNetLiteConfig
from sdpoint.models.blocks import Conv, StemPlan
from sdpoint.models.network import Network, NetworkPlan

EPSILON = 1e-3  # of the norm layers
STEM, HEAD = 32, 1280  # channels
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}  # variant -> width, depth


class Stage(NamedTuple):
    """A stage: `blocks` blocks of one shape, before scaling. The stride belongs to the first block."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    outputs: int


STAGES = (  # table 1 of the paper
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def scaled_channels(channels: int, width: float) -> int:
    """channels * width, rounded to the nearest multiple of 8, but at most a tenth down."""
    wide = channels * width
    rounded = max(8, int(wide + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * wide else rounded + 8


class ConvPlan(StemPlan):
    """Plan of convolution, norm and ReLU6, for the stem and the head."""

    def build(self) -> ConvNormReLU6:
        return ConvNormReLU6(self.conv)


class ConvNormReLU6(nn.Module):
    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.conv = conv.build()
        self.bn = nn.BatchNorm2d(conv.outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        return F.relu6(self.bn(self.conv(x)))


@dataclass(frozen=True)
class InvertedPlan:
    """Plan of an inverted residual block.

    A 1x1 convolution to `expansion` times the channels (none if expansion is 1), a depthwise convolution, and a 1x1
    convolution to `outputs` channels.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int

    @property
    def inner(self) -> int:
        return self.inputs * self.expansion

    @property
    def expand(self) -> Conv | None:
        return Conv(self.inputs, self.inner, 1) if self.expansion != 1 else None

    @property
    def depthwise(self) -> Conv:
        return Conv(self.inner, self.inner, self.kernel, self.stride, groups=self.inner, same=True)

    @property
    def project(self) -> Conv:
        return Conv(self.inner, self.outputs, 1)

    @property
    def adds(self) -> bool:
        """Whether the block has a shortcut, which adds its input to its output."""
        return self.stride == 1 and self.inputs == self.outputs

    def flops(self, size: int) -> int:
        expand = self.expand.flops(size) if self.expand else 0
        return expand + self.depthwise.flops(size) + self.project.flops(self.size_after(size))

    def size_after(self, size: int) -> int:
        return self.depthwise.size_after(size)

    def build(self) -> InvertedResidual:
        return InvertedResidual(self)


class InvertedResidual(nn.Module):
    """An inverted residual block. It has no activation at its end; D acts on its output."""

    def __init__(self, plan: InvertedPlan) -> None:
        super().__init__()
        self.adds = plan.adds
        self.expand = plan.expand.build() if plan.expand else None
        self.expand_bn = nn.BatchNorm2d(plan.inner, eps=EPSILON) if plan.expand else None
        self.depthwise = plan.depthwise.build()
        self.depthwise_bn = nn.BatchNorm2d(plan.inner, eps=EPSILON)
        self.project = plan.project.build()
        self.project_bn = nn.BatchNorm2d(plan.outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        h = x if self.expand is None else F.relu6(self.expand_bn(self.expand(x)))
        h = F.relu6(self.depthwise_bn(self.depthwise(h)))
        h = self.project_bn(self.project(h))
        return x + h if self.adds else h


class EfficientNetLite(Network):
    @staticmethod
    def plan_of(config: EfficientNetLiteConfig) -> NetworkPlan:
        width, depth = SCALES[config.variant]
        blocks, inputs = [], STEM
        for index, stage in enumerate(STAGES):
            scaled = index not in (0, len(STAGES) - 1)
            outputs = scaled_channels(stage.outputs, width)
            for k in range(math.ceil(stage.blocks * depth) if scaled else stage.blocks):
                stride = stage.stride if k == 0 else 1
                blocks.append(InvertedPlan(inputs, outputs, stage.kernel, stride, stage.expansion))
                inputs = outputs
        return NetworkPlan(
            name=f"efficientnet-lite{config.variant}",
            stem=ConvPlan(Conv(3, STEM, 3, 2, same=True)),
            blocks=tuple(blocks),
            head=ConvPlan(Conv(inputs, HEAD, 1)),
        )
