"""Depthwise convolutions whose gradients are faster than PyTorch's on a CPU.

On maps as small as those of EfficientNet-Lite, PyTorch's gradients by the weights of a 5x5 convolution, and by the
input of a strided one, are several times slower than these.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

SMALL = 3  # size of filters for which PyTorch's gradient by the weights is the faster one


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The convolution of an input that is padded already; x: [n, channels, h, w]."""
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    slow = max(conv.stride) > 1 or (conv.kernel_size[0] > SMALL and conv.weight.requires_grad)
    if depthwise and slow and x.device.type == "cpu" and torch.is_grad_enabled():
        weight = conv.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = (value.to(torch.get_autocast_dtype("cpu")) for value in (x, weight))
        return Depthwise.apply(x, weight, conv.stride)
    return F.conv2d(x, conv.weight, None, conv.stride, groups=conv.groups)


class Depthwise(torch.autograd.Function):
    """A depthwise convolution without padding and bias."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride: tuple[int, int]) -> Tensor:
        """x: [n, channels, h, w]; weight: [channels, 1, kernel, kernel], of the same number type."""
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        by_x = _by_input(x, weight, gradient, ctx.stride) if ctx.needs_input_grad[0] else None
        by_weight = _by_weight(x, weight, gradient, ctx.stride) if ctx.needs_input_grad[1] else None
        return by_x, by_weight, None


def _by_input(x: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int]) -> Tensor:
    """The gradient by the input: a plain convolution with the mirrored filters, zeros between the values."""
    if max(stride) == 1:
        return torch.nn.grad.conv2d_input(x.shape, weight, gradient, stride, groups=len(weight))
    kernel = weight.shape[2]
    height, width = (size + kernel - 1 for size in x.shape[2:])  # so large that the result is as large as x
    spread = x.new_zeros((*x.shape[:2], height, width)).contiguous(memory_format=torch.channels_last)
    edge = kernel - 1
    rows, columns = ((count - 1) * step + 1 for count, step in zip(gradient.shape[2:], stride, strict=True))
    spread[:, :, edge : edge + rows : stride[0], edge : edge + columns : stride[1]] = gradient
    return F.conv2d(spread, weight.flip(2, 3), groups=len(weight))


def _by_weight(x: Tensor, weight: Tensor, gradient: Tensor, stride: tuple[int, int]) -> Tensor:
    """The gradient by the weights; tap by tap if the filters are large."""
    kernel, (height, width) = weight.shape[2], gradient.shape[2:]
    if kernel <= SMALL:
        return torch.nn.grad.conv2d_weight(x, weight.shape, gradient, stride, groups=len(weight))
    sums = [
        (x[:, :, row :: stride[0], column :: stride[1]][:, :, :height, :width] * gradient).sum((0, 2, 3))
        for row in range(kernel)
        for column in range(kernel)
    ]
    return torch.stack(sums, 1).reshape(weight.shape)
