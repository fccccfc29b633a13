import math

import pytest
import torch
import torch.nn.functional as F

from sdpoint.downsample import downsample, downsampled_size, pooling_index, pooling_matrix


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [(32, 0.5, 16), (32, 0.75, 24), (14, 0.75, 10), (10, 0.75, 8), (7, 0.5, 4), (5, 0.5, 2), (9, 0.5, 4), (1, 0.5, 1)],
)
def test_sizes_round_half_to_even_and_never_vanish(size, ratio, expected):
    assert downsampled_size(size, ratio) == expected


def naive(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Adaptive average pooling by its definition, cell by cell."""
    _, _, rows, columns = x.shape
    out = torch.empty(*x.shape[:2], height, width)
    for k in range(height):
        for m in range(width):
            top, bottom = math.floor(k * rows / height), math.ceil((k + 1) * rows / height)
            left, right = math.floor(m * columns / width), math.ceil((m + 1) * columns / width)
            out[:, :, k, m] = x[:, :, top:bottom, left:right].mean((2, 3))
    return out


@pytest.mark.parametrize("shape", [(16, 16), (14, 14), (7, 7), (9, 5), (8, 6), (2, 3)])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.6, 0.75])
def test_pooling_equals_the_definition_and_the_matrices(shape, ratio):
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0))
    height, width = (downsampled_size(s, ratio) for s in shape)
    pooled = downsample(x, ratio)
    torch.testing.assert_close(pooled, naive(x, height, width))
    by_matrices = pooling_matrix(shape[0], height) @ x @ pooling_matrix(shape[1], width).T
    torch.testing.assert_close(pooled, by_matrices)


def test_linear_pooling_weighs_the_two_nearest_rows():
    x = torch.randn(2, 3, 130, 1, generator=torch.Generator().manual_seed(0))
    pooled = downsample(x, 0.769, "linear")
    assert pooled.shape == (2, 3, 100, 1)
    for k in (0, 17, 99):
        place = (k + 0.5) * 130 / 100 - 0.5
        above, share = math.floor(place), place - math.floor(place)
        expected = (1 - share) * x[:, :, above] + share * x[:, :, above + 1]
        torch.testing.assert_close(pooled[:, :, k], expected, atol=1e-4, rtol=0)


def test_half_of_an_even_size_is_the_same_for_both():
    x = torch.randn(2, 3, 16, 18, generator=torch.Generator().manual_seed(0))
    assert torch.equal(downsample(x, 0.5, "linear"), downsample(x, 0.5))


@pytest.mark.parametrize(("size", "out"), [(112, 42), (112, 28), (32, 12), (9, 7), (5, 1), (3, 3)])
def test_the_index_gives_adaptive_max_pooling(size, out):
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    index = pooling_index(size, out)
    rows = x[:, :, index].amax(3)  # [n, channels, out, size]
    assert torch.equal(rows[:, :, :, index].amax(4), F.adaptive_max_pool2d(x, out))


def test_ratio_1_gives_the_map_itself():
    x = torch.randn(1, 1, 4, 4)
    assert downsample(x, 1) is x
