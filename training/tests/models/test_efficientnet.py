import pytest
import torch
import torch.nn.functional as F

from sdpoint.config import ConfigError, EfficientNetLiteConfig
from sdpoint.models import plan_network
from sdpoint.models.blocks import Conv, same_padding
from sdpoint.models.efficientnet import InvertedPlan, scaled_channels


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (113, 3, 2, (1, 1)),
        (56, 5, 2, (1, 2)),
        (15, 5, 2, (2, 2)),
        (14, 5, 1, (2, 2)),
        (7, 1, 1, (0, 0)),
    ],
)
def test_same_padding_puts_the_odd_zero_after_the_row(size, kernel, stride, padding):
    assert same_padding(size, kernel, stride) == padding


@pytest.mark.parametrize("size", [8, 9])
def test_a_same_convolution_gives_a_stride_th_of_the_size(size):
    conv = Conv(2, 2, 3, 2, groups=2, same=True)
    module, x = conv.build(), torch.randn(1, 2, size, size + 1)
    got = module(x)
    assert got.shape[-2:] == (conv.size_after(size), conv.size_after(size + 1))
    before = {8: 0, 9: 1}
    padded = F.pad(x, (before[17 - size], 1, before[size], 1))
    assert torch.equal(got, F.conv2d(padded, module.weight, stride=2, groups=2))


def test_channels_are_rounded_to_multiples_of_8_and_never_a_tenth_down():
    assert [scaled_channels(c, 1.1) for c in (16, 24, 40, 80, 112, 192, 320)] == [16, 24, 48, 88, 120, 208, 352]
    assert scaled_channels(13, 1.0) == 16  # 8 would be more than a tenth less


def test_depth_grows_but_not_that_of_the_first_and_the_last_stage():
    assert [len(plan_network(EfficientNetLiteConfig(variant=v)).blocks) for v in (0, 1, 2)] == [16, 21, 21]
    kernels = [block.kernel for block in plan_network(EfficientNetLiteConfig(variant=1)).blocks]
    assert kernels[0] == 3 and kernels[-2:] == [5, 3]


def test_a_block_adds_its_input_only_where_the_shape_stays():
    assert InvertedPlan(8, 8, 3, 1, 6).adds
    assert not InvertedPlan(8, 8, 3, 2, 6).adds and not InvertedPlan(8, 16, 3, 1, 6).adds


def test_a_variant_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=r"model\.variant"):
        EfficientNetLiteConfig(variant=3)
