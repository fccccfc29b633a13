"""Cost of an instance by formula: pure functions, composed as the network is; no weights, no forward pass.

Equal to `torch.utils.flop_counter` for the network with D as a pooling.
"""

from __future__ import annotations

from sdpoint.config import ModelConfig
from sdpoint.downsample import downsampled_size
from sdpoint.instance import FULL, Instance
from sdpoint.models.wrn import BlockShape, block_shapes

CONVENTION = (
    "one picture; convolution and linear layers only (the rest is under 2 %); "
    "a multiply and an add count as two, so FLOPs = 2 x MACs"
)


def conv_flops(inputs: int, outputs: int, kernel: int, size: int) -> int:
    """A kernel x kernel convolution that gives a map of size x size."""
    return 2 * inputs * outputs * kernel**2 * size**2


def linear_flops(inputs: int, outputs: int) -> int:
    return 2 * inputs * outputs


def strided_size(size: int, stride: int) -> int:
    """What a padded convolution with this stride leaves of `size`."""
    return -(-size // stride)


def block_flops(shape: BlockShape, size: int) -> int:
    """A residual block on a map of size x size."""
    inputs, outputs, stride = shape
    out = strided_size(size, stride)
    project = conv_flops(inputs, outputs, 1, out) if shape.projects else 0
    return conv_flops(inputs, outputs, 3, out) + conv_flops(outputs, outputs, 3, out) + project


def network_flops(config: ModelConfig, classes: int, size: int, instance: Instance = FULL) -> int:
    """An instance of the network on a picture of size x size. Raises ValueError if it has no such point."""
    shapes = block_shapes(config)
    if instance.p > len(shapes):
        raise ValueError(f"p is {instance.p}; the network has points 0 to {len(shapes)}")
    total = conv_flops(3, config.base, 3, size)
    for point, shape in enumerate(shapes, start=1):
        if point == instance.p:
            size = downsampled_size(size, instance.r)
        total += block_flops(shape, size)
        size = strided_size(size, shape.stride)
    return total + linear_flops(shapes[-1].outputs, classes)
