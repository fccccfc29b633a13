"""Parts that networks are made of. Each comes as a plan, the numbers that decide its layers, and as a module.

A plan says by formula what the part costs (`flops`, of one picture, a multiply and an add counted as two) and what
size its map has; it needs neither weights nor a forward pass. `build` makes the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.downsample import downsampled_size


def conv_flops(inputs: int, outputs: int, kernel: int, size: int, groups: int = 1) -> int:
    """A kernel x kernel convolution that gives a map of size x size."""
    return 2 * inputs * outputs // groups * kernel**2 * size**2


def linear_flops(inputs: int, outputs: int) -> int:
    return 2 * inputs * outputs


def strided_size(size: int, stride: int) -> int:
    """What a padded convolution with this stride leaves of `size`; the stem's 3x3 max-pool too."""
    return -(-size // stride)


class Part(Protocol):
    """A plan of what lies between two downsampling points; a size is the height and the width of a square map."""

    @property
    def outputs(self) -> int: ...  # channels

    def flops(self, size: int) -> int: ...  # on a map of size x size

    def size_after(self, size: int) -> int: ...

    def build(self) -> nn.Module: ...


class Conv(NamedTuple):
    """A convolution without bias, padded so that only its stride changes the size.

    same: padded as TensorFlow's "SAME", which differs from ours where there is a stride.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1
    same: bool = False

    def flops(self, size: int) -> int:
        return conv_flops(self.inputs, self.outputs, self.kernel, self.size_after(size), self.groups)

    def size_after(self, size: int) -> int:
        return strided_size(size, self.stride)

    def build(self) -> nn.Conv2d:
        kind, padding = (SameConv2d, 0) if self.same else (nn.Conv2d, self.kernel // 2)
        return kind(self.inputs, self.outputs, self.kernel, self.stride, padding, groups=self.groups, bias=False)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a row of `size`: as many as ceil(size / stride) outputs need, the odd one after."""
    total = max((strided_size(size, stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """Padded by the size of its map, so without a padding of its own."""

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, ceil(h/stride), ceil(w/stride)]
        rows, columns = (same_padding(x.shape[d], self.kernel_size[d - 2], self.stride[d - 2]) for d in (2, 3))
        return super().forward(F.pad(x, (*columns, *rows)))


@dataclass(frozen=True)
class StemPlan:
    """Convolution, norm and ReLU; `pools`: then a 3x3 max-pool of stride 2."""

    conv: Conv
    pools: bool = False

    @property
    def outputs(self) -> int:
        return self.conv.outputs

    def flops(self, size: int) -> int:
        return self.conv.flops(size)

    def size_after(self, size: int) -> int:
        return strided_size(self.conv.size_after(size), 2 if self.pools else 1)

    def build(self) -> Stem:
        return PoolingStem(self.conv) if self.pools else Stem(self.conv)


class Stem(nn.Module):
    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.conv = conv.build()
        self.bn = nn.BatchNorm2d(conv.outputs)

    def forward(self, x: Tensor) -> Tensor:  # [n, 3, h, w] -> [n, outputs, h/stride, w/stride]
        return F.relu(self.bn(self.conv(x)), inplace=True)


class PoolingStem(Stem):
    """The stem of networks for 224x224. Its max-pool is made adaptive, not followed by D, as in the reference code."""

    def forward(self, x: Tensor, ratio: float = 1.0) -> Tensor:
        """x: [n, 3, h, w] -> the map after the max-pool; at a ratio below 1, `round(size * ratio)` of its size."""
        h = super().forward(x)
        if ratio == 1:
            return F.max_pool2d(h, 3, 2, 1)
        height, width = (downsampled_size(strided_size(s, 2), ratio) for s in h.shape[-2:])
        return F.adaptive_max_pool2d(h, (height, width))


@dataclass(frozen=True)
class ResidualPlan:
    """A residual block: a chain of convolutions, and an identity that is projected (1x1) if the shape changes."""

    convs: tuple[Conv, ...]
    module: Callable[[ResidualPlan], nn.Module]  # PreActivation or PostActivation

    @property
    def outputs(self) -> int:
        return self.convs[-1].outputs

    @property
    def project(self) -> Conv | None:
        inputs, stride = self.convs[0].inputs, math.prod(conv.stride for conv in self.convs)
        return Conv(inputs, self.outputs, 1, stride) if inputs != self.outputs or stride != 1 else None

    def flops(self, size: int) -> int:
        total = self.project.flops(size) if self.project else 0
        for conv in self.convs:
            total += conv.flops(size)
            size = conv.size_after(size)
        return total

    def size_after(self, size: int) -> int:
        for conv in self.convs:
            size = conv.size_after(size)
        return size

    def build(self) -> nn.Module:
        return self.module(self)


Chain = Callable[[int, int, int], tuple[Conv, ...]]
"""(channels in, channels out, stride) -> the convolutions of a residual block."""


def basic(inputs: int, outputs: int, stride: int) -> tuple[Conv, ...]:
    """Two 3x3 convolutions."""
    return Conv(inputs, outputs, 3, stride), Conv(outputs, outputs, 3)


def bottleneck(inputs: int, outputs: int, stride: int) -> tuple[Conv, ...]:
    """1x1 to a quarter of the channels, 3x3, 1x1; the 3x3 has the stride."""
    inner = outputs // 4
    return Conv(inputs, inner, 1), Conv(inner, inner, 3, stride), Conv(inner, outputs, 1)


def residual_groups(
    inputs: int, outputs: int, counts: Sequence[int], chain: Chain, module: Callable[[ResidualPlan], nn.Module]
) -> tuple[ResidualPlan, ...]:
    """counts: blocks in each group. A group but the first starts with stride 2 and twice the channels.

    inputs: channels of the stem; outputs: of the first group.
    """
    blocks = []
    for group, count in enumerate(counts):
        for index in range(count):
            stride = 2 if group > 0 and index == 0 else 1
            blocks.append(ResidualPlan(chain(inputs, outputs * 2**group, stride), module))
            inputs = outputs * 2**group
    return tuple(blocks)


IMAGENET_STEM = StemPlan(Conv(3, 64, 7, 2), pools=True)


def imagenet_groups(
    depth: int, counts: Sequence[int], module: Callable[[ResidualPlan], nn.Module]
) -> tuple[ResidualPlan, ...]:
    """The groups behind IMAGENET_STEM (He et al. 2015, table 1): basic blocks below depth 50, then bottlenecks."""
    chain, outputs = (bottleneck, 256) if depth >= 50 else (basic, 64)
    return residual_groups(IMAGENET_STEM.outputs, outputs, counts, chain, module)


class PreActivation(nn.Module):
    """Norm and ReLU before each convolution (He et al. 2016, arXiv 1603.05027); the first also before the projection.

    Layers are bn1, conv1, bn2, conv2 and so on, and project.
    """

    def __init__(self, plan: ResidualPlan) -> None:
        super().__init__()
        self.length = len(plan.convs)
        for k, conv in enumerate(plan.convs, start=1):
            self.add_module(f"bn{k}", nn.BatchNorm2d(conv.inputs))
            self.add_module(f"conv{k}", conv.build())
        self.project = plan.project.build() if plan.project else None

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        h = F.relu(self.bn1(x), inplace=True)
        x = x if self.project is None else self.project(h)
        h = self.conv1(h)
        for k in range(2, self.length + 1):
            h = getattr(self, f"conv{k}")(F.relu(getattr(self, f"bn{k}")(h), inplace=True))
        return x + h


class PostActivation(nn.Module):
    """Norm after each convolution, ReLU after each but the last (He et al. 2015, arXiv 1512.03385).

    The ReLU that ends such a block stands at the start of the next one (and of the classifier), so that a point
    between blocks lies before it. After a stem, which has a ReLU of its own, it changes nothing.
    Layers are conv1, bn1, conv2, bn2 and so on, project and project_bn.
    """

    def __init__(self, plan: ResidualPlan) -> None:
        super().__init__()
        self.length = len(plan.convs)
        for k, conv in enumerate(plan.convs, start=1):
            self.add_module(f"conv{k}", conv.build())
            self.add_module(f"bn{k}", nn.BatchNorm2d(conv.outputs))
        self.project = plan.project.build() if plan.project else None
        self.project_bn = nn.BatchNorm2d(plan.outputs) if plan.project else None

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, h/stride, w/stride]
        h = x = F.relu(x)  # not in place: others may hold the map at this point
        for k in range(1, self.length + 1):
            h = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(h))
            if k < self.length:
                h = F.relu(h, inplace=True)
        return (x if self.project is None else self.project_bn(self.project(x))) + h
