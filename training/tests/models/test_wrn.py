import pytest
import torch

from sdpoint.config import WideResNetConfig
from sdpoint.downsample import downsample
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models.network import norm_layers_before
from sdpoint.models.wrn import WideResNet

X = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def watch(modules):
    """Lists that fill with each module's inputs and outputs, as copies (ReLU works in place)."""
    inputs, outputs = {}, {}
    for key, module in modules.items():

        def hook(_, given, got, key=key):
            inputs[key], outputs[key] = given[0].clone(), got.clone()

        module.register_forward_hook(hook)
    return inputs, outputs


@pytest.mark.parametrize("p", [1, 2, 3])
def test_downsampling_acts_between_blocks_after_the_residual_addition(model, p):
    parts = {0: model.stem, **{k: block for k, block in enumerate(model.blocks, start=1)}}
    conv2 = {k: block.conv2 for k, block in enumerate(model.blocks, start=1)}
    project = {k: block.project for k, block in enumerate(model.blocks, start=1) if block.project is not None}
    inputs, outputs = watch(parts)
    _, residual = watch(conv2)
    _, projected = watch(project)
    with torch.no_grad():
        model(X, Instance(p, 0.75))
    for k in range(1, len(parts)):
        before = outputs[k - 1]
        assert torch.equal(inputs[k], downsample(before, 0.75) if k == p else before)
        identity = projected.get(k, inputs[k])
        assert torch.equal(outputs[k], identity + residual[k])


def test_instances_give_different_answers_and_forward_keeps_no_state(model):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    instances = enumerate_instances(model.points, (0.5, 0.75))
    with torch.no_grad():
        first = {i: model(X, i) for i in instances}
        again = {i: model(X, i) for i in reversed(instances)}
    assert all(torch.equal(first[i], again[i]) for i in instances)
    assert len({tuple(logits.flatten().tolist()) for logits in first.values()}) == len(instances)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_before_and_after_compose_to_forward(model):
    with torch.no_grad():
        for p in range(model.points + 1):
            assert torch.equal(model.after(model.before(X, p), p), model(X, FULL))


def test_every_parameter_is_used_at_every_cost(model):
    for instance in enumerate_instances(model.points, (0.5,)):
        model.zero_grad()
        model(X, instance).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_norm_layers_before_a_point_are_those_it_does_not_reach(model):
    assert norm_layers_before(model, 0) == norm_layers_before(model, 1) == []
    assert norm_layers_before(model, 2) == ["blocks.0.bn1", "blocks.0.bn2"]
    assert norm_layers_before(model, 3) == ["blocks.0.bn1", "blocks.0.bn2", "blocks.1.bn1", "blocks.1.bn2"]


def test_points_are_one_after_the_stem_and_one_after_each_block_but_the_last():
    assert WideResNet(WideResNetConfig(depth=16, width=2), 10).points == 6
    assert WideResNet(WideResNetConfig(depth=10, width=1), 10).points == 3


@pytest.mark.parametrize("p", [-1, 4])
def test_a_point_the_network_lacks_is_refused(model, p):
    with pytest.raises(ValueError, match="points 0 to 3"):
        model.before(X, p)


def test_wrn_16_2_has_the_published_shape():
    model = WideResNet(WideResNetConfig(depth=16, width=2), 10)
    assert sum(p.numel() for p in model.parameters()) == 691_674
    assert [tuple(b.conv1.weight.shape[:2]) for b in model.blocks] == [
        (32, 16), (32, 32), (64, 32), (64, 64), (128, 64), (128, 128),
    ]  # fmt: skip
