"""The parts of networks. Each part has a plan, which holds the numbers that determine its layers, and a module.

A plan computes the part's FLOPs for one picture (a multiply and an add count as two) and the size of its output by
formula, without weights and without a forward pass. `build` makes the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.downsample import downsampled_size
from sdpoint.models.depthwise import convolved


def conv_flops(inputs: int, outputs: int, kernel: int, size: int, groups: int = 1) -> int:
    """FLOPs of a kernel x kernel convolution whose output is a map of size x size."""
    return 2 * inputs * outputs // groups * kernel**2 * size**2


def linear_flops(inputs: int, outputs: int) -> int:
    return 2 * inputs * outputs


def strided_size(size: int, stride: int) -> int:
    """Output size of a padded convolution with this stride, and of the stem's 3x3 max-pool: ceil(size / stride)."""
    return -(-size // stride)


class Part(Protocol):
    """The plan of a part between two downsampling points. size: height and width of its square input map."""

    @property
    def outputs(self) -> int: ...  # channels

    def flops(self, size: int) -> int: ...  # on a map of size x size

    def size_after(self, size: int) -> int: ...

    def build(self) -> nn.Module: ...


class Conv(NamedTuple):
    """A convolution without bias, padded so that only its stride changes the size of the map.

    same: padded as TensorFlow's "SAME", which differs from PyTorch's symmetric padding if the stride is above 1.
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
    """Zeros (before, after) a row of `size` in TensorFlow's "SAME" padding.

    There are as many as ceil(size / stride) outputs need; if that is odd, the additional zero comes after.
    """
    total = max((strided_size(size, stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding, which depends on the size of the input."""

    def forward(self, x: Tensor) -> Tensor:  # [n, inputs, h, w] -> [n, outputs, ceil(h/stride), ceil(w/stride)]
        rows, columns = (same_padding(x.shape[d], self.kernel_size[d - 2], self.stride[d - 2]) for d in (2, 3))
        return convolved(self, F.pad(x, (*columns, *rows)))


@dataclass(frozen=True)
class StemPlan:
    """Plan of a stem: convolution, norm and ReLU. pools: followed by a 3x3 max-pool with stride 2."""

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
    """The stem of networks for 224x224 pictures. At p = 1 its max-pool is made adaptive, in place of D after it.

    This follows the paper's reference code.
    """

    def forward(self, x: Tensor, ratio: float = 1.0) -> Tensor:
        """x: [n, 3, h, w] -> the map after the max-pool, with height and width reduced to `round(size * ratio)`."""
        h = super().forward(x)
        if ratio == 1:
            return F.max_pool2d(h, 3, 2, 1)
        height, width = (downsampled_size(strided_size(s, 2), ratio) for s in h.shape[-2:])
        return F.adaptive_max_pool2d(h, (height, width))


@dataclass(frozen=True)
class ResidualPlan:
    """Plan of a residual block: a chain of convolutions, and a shortcut with a 1x1 convolution if the shape changes."""

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
"""Makes the convolutions of a residual block from (input channels, output channels, stride)."""


def basic(inputs: int, outputs: int, stride: int) -> tuple[Conv, ...]:
    """The convolutions of a basic block: two of 3x3, the first with the stride."""
    return Conv(inputs, outputs, 3, stride), Conv(outputs, outputs, 3)


def bottleneck(inputs: int, outputs: int, stride: int) -> tuple[Conv, ...]:
    """A 1x1 convolution to a quarter of the output channels, a 3x3 convolution with the stride, a 1x1 convolution."""
    inner = outputs // 4
    return Conv(inputs, inner, 1), Conv(inner, inner, 3, stride), Conv(inner, outputs, 1)


def residual_groups(
    inputs: int, outputs: int, counts: Sequence[int], chain: Chain, module: Callable[[ResidualPlan], nn.Module]
) -> tuple[ResidualPlan, ...]:
    """Plans of the blocks of a residual network. Each group after the first halves the size and doubles the channels.

    inputs: channels after the stem; outputs: channels of the first group; counts: number of blocks in each group.
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
    """Plans of the blocks behind IMAGENET_STEM (He et al. 2015, table 1): basic below depth 50, else bottleneck."""
    chain, outputs = (bottleneck, 256) if depth >= 50 else (basic, 64)
    return residual_groups(IMAGENET_STEM.outputs, outputs, counts, chain, module)


class PreActivation(nn.Module):
    """A residual block with norm and ReLU before each convolution (He et al. 2016, arXiv 1603.05027).

    The first norm and ReLU also precede the 1x1 convolution of the shortcut. Layers: bn1, conv1, bn2, conv2, ...,
    project.
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
    """A residual block with norm after each convolution, and ReLU after each but the last (He et al. 2015, 1512.03385).

    The ReLU at the end of a block is computed at the start of the next block (or of the classifier), so that D at a
    point between blocks acts before it. After a stem, which ends with a ReLU, the additional one changes nothing.
    Layers: conv1, bn1, conv2, bn2, ..., project and project_bn.
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
        h = x = F.relu(x)  # not in place: the caller may still use the map
        for k in range(1, self.length + 1):
            h = getattr(self, f"bn{k}")(getattr(self, f"conv{k}")(h))
            if k < self.length:
                h = F.relu(h, inplace=True)
        return (x if self.project is None else self.project_bn(self.project(x))) + h
