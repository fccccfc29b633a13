"""DenseNet-BC for small pictures (Huang et al. 2017, arXiv 1608.06993): bottleneck layers, compressing transitions.

Here a block of the network is one dense layer, so there is a downsampling point after each dense layer, on the
concatenated map. The transition between two dense blocks belongs to the first layer of the second one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import DenseNetConfig
from sdpoint.downsample import downsample, downsampled_size
from sdpoint.models.blocks import Conv
from sdpoint.models.network import Network, NetworkPlan

TRANSITION_RATIO = 0.5  # of the size; transitions pool with D, which also handles maps of odd size


@dataclass(frozen=True)
class DensePlan:
    """Plan of a dense layer, which adds `growth` channels. transits: a transition first halves channels and size."""

    inputs: int
    growth: int
    transits: bool

    @property
    def transition(self) -> Conv | None:
        return Conv(self.inputs, self.inputs // 2, 1) if self.transits else None

    @property
    def kept(self) -> int:
        """Channels of the map to which the new channels are concatenated."""
        return self.transition.outputs if self.transition else self.inputs

    @property
    def convs(self) -> tuple[Conv, Conv]:
        inner = 4 * self.growth
        return Conv(self.kept, inner, 1), Conv(inner, self.growth, 3)

    @property
    def outputs(self) -> int:
        return self.kept + self.growth

    def flops(self, size: int) -> int:
        transition = self.transition.flops(size) if self.transition else 0
        return transition + sum(conv.flops(self.size_after(size)) for conv in self.convs)

    def size_after(self, size: int) -> int:
        return downsampled_size(size, TRANSITION_RATIO) if self.transits else size

    def build(self) -> DenseLayer:
        return DenseLayer(self)


class Transition(nn.Module):
    """Transition between dense blocks: norm, ReLU, 1x1 convolution, pooling."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(conv.inputs)
        self.conv = conv.build()

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/2, w/2]
        return downsample(self.conv(F.relu(self.bn(x), inplace=True)), TRANSITION_RATIO)


class DenseLayer(nn.Module):
    """A dense layer: concatenates the map with the output of two convolutions, each after norm and ReLU."""

    def __init__(self, plan: DensePlan) -> None:
        super().__init__()
        first, second = plan.convs
        self.transition = Transition(plan.transition) if plan.transition else None
        self.bn1 = nn.BatchNorm2d(first.inputs)
        self.conv1 = first.build()
        self.bn2 = nn.BatchNorm2d(second.inputs)
        self.conv2 = second.build()

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h, w], halved after a transition
        x = x if self.transition is None else self.transition(x)
        h = self.conv1(F.relu(self.bn1(x), inplace=True))
        return torch.cat((x, self.conv2(F.relu(self.bn2(h), inplace=True))), dim=1)


class DenseNet(Network):
    """DenseNet-BC-<depth>-<growth>: (depth - 4) / 6 dense layers in each of three dense blocks."""

    @staticmethod
    def plan_of(config: DenseNetConfig) -> NetworkPlan:
        count, stem = (config.depth - 4) // 6, Conv(3, 2 * config.growth, 3)
        layers, inputs = [], stem.outputs
        for index in range(3 * count):
            layers.append(DensePlan(inputs, config.growth, transits=index > 0 and index % count == 0))
            inputs = layers[-1].outputs
        return NetworkPlan(name=f"densenet-bc-{config.depth}-{config.growth}", stem=stem, blocks=tuple(layers))
