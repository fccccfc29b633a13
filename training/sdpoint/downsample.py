"""The operation D: pooling of a feature map to a share of its size (paper section 3.1).

`average` is the paper's, adaptive where sizes do not divide, and right for a network that is trained with it. Its
windows overlap, so that at ratios near 1 it blurs far more than the smaller size asks for. A network that was trained
without it agrees better with itself behind `linear`, the weighted mean of the nearest two rows, which keeps edges. At
r = 0.5 of an even size both are the mean of 2x2. A stem that pools takes adaptive maxima at p = 1 in any case.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def downsampled_size(size: int, ratio: float) -> int:
    """The one rounding rule, used in training, export and FLOPs: half to even, never below 1.

    14 * 0.75 = 10.5 gives 10, as Python's `round` in the reference code.
    """
    return max(1, round(size * ratio))


def downsample(x: Tensor, ratio: float, pooling: str = "average") -> Tensor:
    """x: [n, c, h, w] float -> [n, c, round(h * ratio), round(w * ratio)]; x itself if ratio is 1.

    pooling: `average`, where output cell k of o averages input rows floor(k*i/o) .. ceil((k+1)*i/o)-1, columns
    likewise; or `linear`, where it weighs the two rows nearest to (k+0.5)*i/o-0.5.
    """
    if ratio == 1:
        return x
    height, width = (downsampled_size(s, ratio) for s in x.shape[-2:])
    if ratio == 0.5 and x.shape[-2] % 2 == 0 and x.shape[-1] % 2 == 0:
        return F.avg_pool2d(x, 2)  # the same cells; faster, and a plain AveragePool in ONNX
    if pooling == "linear":
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(x, (height, width))


def pooling_windows(size: int, out: int) -> list[range]:
    """The rows that each of `out` cells takes from `size` rows in adaptive pooling; they may overlap."""
    return [range(k * size // out, -(-(k + 1) * size // out)) for k in range(out)]


def pooling_matrix(size: int, out: int) -> Tensor:
    """[out, size] float32: row k averages the window of cell k, so that `D(X) = A_h @ X @ A_w^T`.

    Adaptive average pooling has no ONNX operator when out does not divide size, but it is linear and separable.
    """
    matrix = torch.zeros(out, size)
    for k, window in enumerate(pooling_windows(size, out)):
        matrix[k, window.start : window.stop] = 1 / len(window)
    return matrix


def pooling_index(size: int, out: int) -> Tensor:
    """[out, rows of the largest window] int64: the rows of each window, the last one repeated in smaller windows.

    With it adaptive max-pooling is exact in ONNX: Gather the rows, ReduceMax; then the same for columns.
    """
    windows = pooling_windows(size, out)
    longest = max(map(len, windows))
    return torch.tensor([[window[min(k, len(window) - 1)] for k in range(longest)] for window in windows])
