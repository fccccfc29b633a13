import pytest
import torch
import torch.nn.functional as F
from networks import with_random_norms
from torch import nn

from sdpoint.downsample import downsample
from sdpoint.models import depthwise
from sdpoint.models.blocks import (
    Conv,
    PoolingStem,
    PostActivation,
    PreActivation,
    ResidualPlan,
    Stem,
    StemPlan,
    basic,
    bottleneck,
    residual_groups,
)

X = torch.randn(2, 8, 13, 13, generator=torch.Generator().manual_seed(0))
PLAIN, CHANGING = bottleneck(8, 8, 1), bottleneck(8, 16, 2)


def block(plan: ResidualPlan) -> nn.Module:
    torch.manual_seed(0)
    return with_random_norms(plan.build())


@pytest.mark.parametrize("size", [1, 2, 7, 8, 13])
@pytest.mark.parametrize("conv", [Conv(4, 6, 1), Conv(4, 6, 3, 2), Conv(4, 6, 3, 1, 2), Conv(4, 6, 7, 2)])
def test_a_convolution_has_the_size_its_plan_says(conv, size):
    assert conv.build()(torch.zeros(1, 4, size, size)).shape == (1, 6, *[conv.size_after(size)] * 2)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
@pytest.mark.parametrize("size", [5, 8, 13])
def test_a_depthwise_convolution_has_the_gradients_of_pytorch(kernel, stride, dtype, trained, size, monkeypatch):
    conv = Conv(6, 6, kernel, stride, groups=6, same=True).build()
    conv.weight.requires_grad_(trained)
    x = torch.randn(2, 6, size, size, generator=torch.Generator().manual_seed(size)).requires_grad_()
    calls, own = [], depthwise.Depthwise.apply

    def gradients():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = conv(x * 1)
        weights = torch.arange(float(y.numel())).reshape(y.shape) % 7 - 3
        return y, torch.autograd.grad((y.float() * weights).sum(), [x, conv.weight] if trained else [x])

    monkeypatch.setattr(depthwise.Depthwise, "apply", lambda *given: calls.append(1) or own(*given))
    y, ours = gradients()
    monkeypatch.setattr(depthwise.Depthwise, "apply", lambda x, w, s: F.conv2d(x, w, None, s, groups=6))
    expected, theirs = gradients()
    assert bool(calls) == (stride == 2 or (kernel == 5 and trained))
    near = {"atol": 1e-4, "rtol": 1e-4} if dtype == torch.float32 else {"atol": 0.3, "rtol": 0.05}
    for given, wanted in zip([y, *ours], [expected, *theirs], strict=True):
        assert given.dtype == wanted.dtype
        torch.testing.assert_close(given, wanted, **near)


@torch.no_grad()
@pytest.mark.parametrize("convs", [PLAIN, CHANGING], ids=["plain", "changing"])
def test_pre_activation_adds_the_residual_to_an_identity_and_ends_with_the_addition(convs):
    m = block(ResidualPlan(convs, PreActivation))
    first = F.relu(m.bn1(X))
    h = m.conv3(F.relu(m.bn3(m.conv2(F.relu(m.bn2(m.conv1(first)))))))
    torch.testing.assert_close(m(X), (m.project(first) if convs is CHANGING else X) + h)


@torch.no_grad()
@pytest.mark.parametrize("convs", [PLAIN, CHANGING], ids=["plain", "changing"])
def test_downsampling_after_post_activation_acts_before_the_blocks_final_relu(convs):
    """Compares with two blocks in the published order of layers and D after the addition of the first one."""
    first, second = (block(ResidualPlan(c, PostActivation)) for c in (convs, bottleneck(convs[-1].outputs, 4, 1)))

    def published(m, x):  # a block up to its addition, on an input that has had its ReLU
        h = m.bn3(m.conv3(F.relu(m.bn2(m.conv2(F.relu(m.bn1(m.conv1(x))))))))
        return h + (x if m.project is None else m.project_bn(m.project(x)))

    x = F.relu(X)  # as a stem gives it
    expected = published(second, F.relu(downsample(published(first, x), 0.75)))
    torch.testing.assert_close(second(downsample(first(x), 0.75)), expected)
    wrong = published(second, downsample(F.relu(published(first, x)), 0.75))
    assert not torch.allclose(wrong, expected)


def test_blocks_do_not_change_the_map_they_are_given():
    for plan in (ResidualPlan(PLAIN, PreActivation), ResidualPlan(PLAIN, PostActivation)):
        x = X.clone()
        block(plan)(x)
        assert torch.equal(x, X)


@torch.no_grad()
@pytest.mark.parametrize(("size", "ratio", "out"), [(32, 0.5, 4), (32, 0.75, 6), (56, 0.75, 10), (15, 0.5, 2)])
def test_a_pooling_stem_downsamples_by_adaptive_max_pooling_of_the_map_before_its_max_pool(size, ratio, out):
    stem = with_random_norms(StemPlan(Conv(3, 4, 7, 2), pools=True).build())
    x = torch.randn(2, 3, size, size)
    before = F.relu(stem.bn(stem.conv(x)))
    assert torch.equal(stem(x, ratio), F.adaptive_max_pool2d(before, out))
    assert torch.equal(stem(x), F.max_pool2d(before, 3, 2, 1))


def test_stems_are_of_the_planned_kind_and_size():
    for pools, kind, size in ((False, Stem, 16), (True, PoolingStem, 8)):
        plan = StemPlan(Conv(3, 4, 3, 2), pools)
        assert type(plan.build()) is kind
        assert plan.size_after(32) == size


def test_a_group_but_the_first_starts_with_stride_2_and_twice_the_channels():
    blocks = residual_groups(16, 16, (2, 1, 2), basic, PreActivation)
    assert [(b.convs[0].inputs, b.outputs, b.convs[0].stride) for b in blocks] == [
        (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 64, 2), (64, 64, 1),
    ]  # fmt: skip
    assert [b.project is not None for b in blocks] == [False, False, True, True, False]
