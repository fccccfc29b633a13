"""Wide residual network for small pictures (Zagoruyko & Komodakis 2016, arXiv 1605.07146), pre-activation.

Downsampling points: p = 1 after the stem, p = k + 1 after residual block k, counted from 1. A point after
the last block would save nothing and is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import ModelConfig
from sdpoint.downsample import downsample
from sdpoint.instance import Instance

GROUP_STRIDES = (1, 2, 2)


class BlockShape(NamedTuple):
    """What decides a residual block's layers and their cost; channels and stride."""

    inputs: int
    outputs: int
    stride: int

    @property
    def projects(self) -> bool:
        """Whether the identity path needs a 1x1 convolution, because the block changes the shape."""
        return self.inputs != self.outputs or self.stride != 1


def block_shapes(config: ModelConfig) -> list[BlockShape]:
    """The residual blocks from input to output: (depth - 4) / 6 in each of three groups, channels doubling."""
    shapes, inputs = [], config.base
    for group, group_stride in enumerate(GROUP_STRIDES):
        outputs = config.base * 2**group * config.width
        for index in range((config.depth - 4) // 6):
            shapes.append(BlockShape(inputs, outputs, group_stride if index == 0 else 1))
            inputs = outputs
    return shapes


def network_name(config: ModelConfig) -> str:
    """`wrn-16-2`; a base other than the published 16 channels shows."""
    return f"wrn-{config.depth}-{config.width}" + ("" if config.base == 16 else f"-base{config.base}")


class Block(nn.Module):
    """Pre-activation basic block: x + conv(relu(bn(conv(relu(bn(x)))))), x projected if the shape changes."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inputs, outputs, stride = shape
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if shape.projects else None

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        h = F.relu(self.bn1(x), inplace=True)
        x = x if self.project is None else self.project(h)
        return x + self.conv2(F.relu(self.bn2(self.conv1(h)), inplace=True))


class WideResNet(nn.Module):
    """WRN-<depth>-<width>. `forward(x, instance)` keeps no state: the instance is an argument."""

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        shapes = block_shapes(config)
        self.config, self.classes = config, classes
        self.stem = nn.Conv2d(3, config.base, 3, 1, 1, bias=False)
        self.blocks = nn.ModuleList(Block(shape) for shape in shapes)
        self.bn = nn.BatchNorm2d(shapes[-1].outputs)
        self.fc = nn.Linear(shapes[-1].outputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def name(self) -> str:
        return network_name(self.config)

    @property
    def points(self) -> int:
        """How many places there are for downsampling: p runs from 0 (none) to this number."""
        return len(self.blocks)

    def before(self, x: Tensor, p: int) -> Tensor:
        """x: [n, 3, h, w] normalised -> the feature map at point p (x itself if p is 0)."""
        if not 0 <= p <= self.points:
            raise ValueError(f"p is {p}; {self.name} has points 0 to {self.points}")
        if p == 0:
            return x
        h = self.stem(x)
        for block in self.blocks[: p - 1]:
            h = block(h)
        return h

    def after(self, h: Tensor, p: int) -> Tensor:
        """h: the feature map at point p, of any height and width -> logits [n, classes]."""
        if p == 0:
            h, p = self.stem(h), 1
        for block in self.blocks[p - 1 :]:
            h = block(h)
        return self.fc(F.relu(self.bn(h), inplace=True).mean((2, 3)))

    def forward(self, x: Tensor, instance: Instance) -> Tensor:
        """x: [n, 3, h, w] float32, normalised -> logits [n, classes] of that instance."""
        return self.after(downsample(self.before(x, instance.p), instance.r), instance.p)


def norm_layers_before(model: WideResNet, p: int) -> list[str]:
    """Names of the norm layers that point p does not reach: they see what the full instance sees."""
    reached = torch.nn.ModuleList(model.blocks[max(p - 1, 0) :])
    after = {id(m) for m in reached.modules()} | {id(model.bn)}
    return [n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d) and p > 0 and id(m) not in after]


def build_model(config: ModelConfig, classes: int) -> WideResNet:
    """A new network in the memory format that is fastest here."""
    return WideResNet(config, classes).to(memory_format=torch.channels_last)
