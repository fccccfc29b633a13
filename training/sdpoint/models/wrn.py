"""Wide residual network for small pictures (Zagoruyko & Komodakis 2016, arXiv 1605.07146), pre-activation.

Downsampling points: p = 1 after the stem, p = k + 1 after residual block k, counted from 1. A point after
the last block would save nothing and is left out.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.downsample import downsample
from sdpoint.instance import Instance

STEM_WIDTH = 16
GROUP_WIDTHS = (16, 32, 64)  # multiplied by the widening factor
GROUP_STRIDES = (1, 2, 2)


class Block(nn.Module):
    """Pre-activation basic block: x + conv(relu(bn(conv(relu(bn(x)))))), x projected if the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        changes = inputs != outputs or stride != 1
        self.project = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        h = F.relu(self.bn1(x), inplace=True)
        x = x if self.project is None else self.project(h)
        return x + self.conv2(F.relu(self.bn2(self.conv1(h)), inplace=True))


class WideResNet(nn.Module):
    """WRN-<depth>-<width>: (depth - 4) / 6 blocks in each of three groups. `forward(x, instance)` keeps no state."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f"depth is {depth}; expected 6 n + 4 with n >= 1, such as 10, 16, 28 or 40")
        self.depth, self.width, self.classes = depth, width, classes
        self.stem = nn.Conv2d(3, STEM_WIDTH, 3, 1, 1, bias=False)
        blocks, inputs = [], STEM_WIDTH
        for group_width, group_stride in zip(GROUP_WIDTHS, GROUP_STRIDES, strict=True):
            for index in range((depth - 4) // 6):
                blocks.append(Block(inputs, group_width * width, group_stride if index == 0 else 1))
                inputs = group_width * width
        self.blocks = nn.ModuleList(blocks)
        self.bn = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def name(self) -> str:
        return f"wrn-{self.depth}-{self.width}"

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
