"""The operation D: reduce the size of a feature map by a ratio r (paper section 3.1). There are two kinds.

`average` is the paper's: adaptive average pooling, for networks that are trained with D. If the size is not divisible,
its windows overlap, and at ratios near 1 it blurs much more than necessary.

`linear` is linear interpolation between the two nearest rows and columns, which keeps edges. Networks that were trained
without D change their answers less with it.

At r = 0.5 of an even size both are the mean of 2x2. Where D directly follows a max-pooling stem (p = 1), neither is
used: the stem's max-pooling is made adaptive instead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def downsampled_size(size: int, ratio: float) -> int:
    """Size after downsampling: size * ratio, rounded half to even, at least 1. Training, export and FLOPs all use it.

    14 * 0.75 = 10.5 gives 10, as with Python's `round` in the paper's reference code.
    """
    return max(1, round(size * ratio))


def downsample(x: Tensor, ratio: float, pooling: str = "average") -> Tensor:
    """Reduce x [n, c, h, w] float to [n, c, round(h * ratio), round(w * ratio)]; returns x itself if ratio is 1.

    pooling: `average` or `linear`. For i input rows and o output rows, `average` gives output row k the mean of the
    input rows floor(k*i/o) to ceil((k+1)*i/o)-1. `linear` interpolates between the two input rows nearest to
    (k+0.5)*i/o-0.5. Columns are treated alike.
    """
    if ratio == 1:
        return x
    height, width = (downsampled_size(s, ratio) for s in x.shape[-2:])
    if ratio == 0.5 and x.shape[-2] % 2 == 0 and x.shape[-1] % 2 == 0:
        return F.avg_pool2d(x, 2)  # the same result; faster, and a plain AveragePool in ONNX
    if pooling == "linear":
        return F.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return F.adaptive_avg_pool2d(x, (height, width))


def pooling_windows(size: int, out: int) -> list[range]:
    """The windows of adaptive pooling: for each of `out` output rows, its rows among `size` input rows.

    They may overlap.
    """
    return [range(k * size // out, -(-(k + 1) * size // out)) for k in range(out)]


def pooling_matrix(size: int, out: int) -> Tensor:
    """Adaptive average pooling as a matrix A, [out, size] float32, so that D(X) = A_h @ X @ A_w^T.

    ONNX has no operator for it if out does not divide size; but the operation is linear and separable.
    """
    matrix = torch.zeros(out, size)
    for k, window in enumerate(pooling_windows(size, out)):
        matrix[k, window.start : window.stop] = 1 / len(window)
    return matrix


def pooling_index(size: int, out: int) -> Tensor:
    """The rows of each pooling window, [out, rows of the largest window] int64; smaller windows repeat their last row.

    With it ONNX can do adaptive max-pooling exactly: Gather these rows and ReduceMax, then the same for columns.
    """
    windows = pooling_windows(size, out)
    longest = max(map(len, windows))
    return torch.tensor([[window[min(k, len(window) - 1)] for k in range(longest)] for window in windows])
