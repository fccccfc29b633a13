import pytest
import torch
import torch.nn.functional as F
from networks import with_random_norms

from sdpoint.config import DenseNetConfig
from sdpoint.models.densenet import DenseNet, DensePlan


@torch.no_grad()
def test_a_layer_joins_what_it_makes_to_the_map():
    layer, x = with_random_norms(DensePlan(6, 4, transits=False).build()), torch.randn(2, 6, 9, 9)
    made = layer.conv2(F.relu(layer.bn2(layer.conv1(F.relu(layer.bn1(x))))))
    assert torch.equal(layer(x), torch.cat((x, made), dim=1))


@torch.no_grad()
@pytest.mark.parametrize(("size", "out"), [(8, 4), (9, 4), (7, 4), (1, 1)])
def test_a_transition_halves_channels_and_size_whatever_the_size(size, out):
    plan, x = DensePlan(6, 4, transits=True), torch.randn(2, 6, size, size)
    layer = with_random_norms(plan.build())
    assert layer.transition(x).shape == (2, 3, out, out)
    assert layer(x).shape == (2, plan.outputs, plan.size_after(size), plan.size_after(size)) == (2, 7, out, out)
    if size % 2 == 0:
        expected = F.avg_pool2d(layer.transition.conv(F.relu(layer.transition.bn(x))), 2)
        assert torch.equal(layer.transition(x), expected)


def test_transitions_begin_the_second_and_the_third_dense_block_and_every_layer_but_the_last_has_a_point():
    model = DenseNet(DenseNetConfig(depth=22, growth=4), 3)
    assert [k for k, layer in enumerate(model.blocks) if layer.transition is not None] == [3, 6]
    assert model.points == 9
