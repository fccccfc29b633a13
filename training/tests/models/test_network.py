"""Properties of networks of every kind, tested on a tiny one of each."""

import pytest
import torch
from networks import TINY, with_random_norms
from torch import nn

from sdpoint.config import KINDS
from sdpoint.downsample import downsample, downsampled_size
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import NETWORKS, build_model
from sdpoint.models.blocks import PoolingStem
from sdpoint.models.network import norm_layers_before


@pytest.fixture(scope="module", params=TINY, ids=lambda c: c.name)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def model(case):
    torch.manual_seed(0)
    return with_random_norms(case.build())


@pytest.fixture(scope="module")
def x(case):
    return torch.randn(2, 3, case.size, case.size, generator=torch.Generator().manual_seed(0))


class Watch:
    """Context manager that records the last input and output of each module, as copies, since ReLU works in place."""

    def __init__(self, modules):
        self.inputs, self.outputs = {}, {}
        self.hooks = [module.register_forward_hook(self.keep(key)) for key, module in modules.items()]

    def keep(self, key):
        def hook(_, given, got):
            self.inputs[key], self.outputs[key] = given[0].clone(), got.clone()

        return hook

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()


def test_every_kind_of_configuration_has_its_network():
    assert set(NETWORKS) == set(KINDS)
    assert {case.config.kind for case in TINY} == set(KINDS)
    for case in TINY:
        assert type(build_model(case.config, case.classes)) is NETWORKS[case.config.kind]


@torch.no_grad()
def test_downsampling_acts_at_its_point_and_nowhere_else(model, x):
    parts = {0: model.stem, **dict(enumerate(model.blocks, start=1))}
    for instance in enumerate_instances(model.points, (0.5, 0.75)):
        with Watch(parts) as watch:
            model(x, instance)
        for k in range(1, len(parts)):
            before, stem_pooled = watch.outputs[k - 1], k == 1 and isinstance(model.stem, PoolingStem)
            drawn = k == instance.p and not stem_pooled  # a stem that pools has downsampled by itself
            assert torch.equal(watch.inputs[k], downsample(before, instance.r) if drawn else before)


@torch.no_grad()
def test_instances_give_different_answers_and_forward_keeps_no_state(model, x):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    instances = enumerate_instances(model.points, (0.5, 0.75))
    first = {i: model(x, i) for i in instances}
    again = {i: model(x, i) for i in reversed(instances)}
    assert all(torch.equal(first[i], again[i]) for i in instances)
    early = [i for i in instances if i.p <= model.points // 2]  # late maps are so small that ratios can coincide
    assert len({tuple(first[i].flatten().tolist()) for i in early}) == len(early)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@torch.no_grad()
def test_before_and_after_compose_to_forward(model, x):
    for p in range(model.points + 1):
        assert torch.equal(model.after(model.before(x, p), p), model(x, FULL))
        if p > 0:
            instance = Instance(p, 0.75)
            assert torch.equal(model.after(model.before(x, p, 0.75), p), model(x, instance))


@torch.no_grad()
def test_fork_gives_the_maps_of_full_and_of_the_instance_and_neither_changes_the_other(model, x):
    for instance in enumerate_instances(model.points, (0.5,)):
        full, own = model.fork(x, instance)
        for _ in range(2):
            assert torch.equal(model.after(full, instance.p), model(x, FULL))
            assert torch.equal(model.after(own, instance.p), model(x, instance))


def test_every_parameter_is_used_at_every_cost(model, x):
    for instance in (FULL, Instance(1, 0.5), Instance(2, 0.75), Instance(model.points, 0.5)):
        model.zero_grad()
        model(x, instance).square().sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    model.zero_grad()


@torch.no_grad()
def test_norm_layers_before_a_point_are_those_it_does_not_reach(model, x):
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert norm_layers_before(model, 0) == []
    with Watch(norms) as full:
        model(x, FULL)
    for p in range(1, model.points + 1):
        with Watch(norms) as own:
            model(x, Instance(p, 0.5))
        same = [name for name in norms if torch.equal(own.inputs[name], full.inputs[name])]
        assert norm_layers_before(model, p) == same


@torch.no_grad()
def test_plans_say_the_size_and_the_channels_of_every_map(case, model, x):
    for instance in (FULL, Instance(1, 0.75), Instance(2, 0.5)):
        with Watch(dict(enumerate(model.blocks, start=1))) as watch:
            model(x, instance)
        size = model.plan.stem.size_after(case.size)
        for point, plan in enumerate(model.plan.blocks, start=1):
            size = plan.size_after(downsampled_size(size, instance.r) if point == instance.p else size)
            assert watch.outputs[point].shape == (2, plan.outputs, size, size)


def test_a_point_the_network_lacks_is_refused(model, x):
    for p in (-1, model.points + 1):
        with pytest.raises(ValueError, match=f"points 0 to {model.points}"):
            model.before(x, p)
