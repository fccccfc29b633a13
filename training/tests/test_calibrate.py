import pytest
import torch
from networks import TINY, with_random_norms
from torch import nn

from sdpoint import calibrate as module
from sdpoint.calibrate import calibrate, calibration_pictures, estimate
from sdpoint.config import DataConfig
from sdpoint.data import Split, normalise
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models.network import norm_layers_before

DATA = DataConfig(size=16)
INSTANCES = enumerate_instances(3, (0.5, 0.75))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 8)  # 20 pictures: 8, 8 and 4


def norms_of(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}


@pytest.mark.parametrize("instance", [FULL, Instance(2, 0.5), Instance(1, 0.75)], ids=lambda i: i.id)
def test_statistics_are_the_mean_over_batches_of_what_each_norm_layer_sees(model, images, instance):
    got = estimate(model, instance, images, DATA)
    seen = {name: [] for name in norms_of(model)}
    for name, norm in norms_of(model).items():
        norm.train()  # so that later layers see what training-mode layers give
        norm.register_forward_pre_hook(lambda _, given, name=name: seen[name].append(given[0].clone()))
    with torch.no_grad():
        for batch in images.split(8):
            model(normalise(batch, DATA), instance)
    assert set(got) == {f"{name}.{kind}" for name in seen for kind in ("running_mean", "running_var")}
    for name, batches in seen.items():
        mean = torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0)
        variance = torch.stack([b.transpose(0, 1).flatten(1).var(1) for b in batches]).mean(0)
        torch.testing.assert_close(got[f"{name}.running_mean"], mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(got[f"{name}.running_var"], variance, atol=1e-5, rtol=1e-4)


def test_layers_before_p_have_the_statistics_of_full_bit_for_bit(model, images):
    all_statistics = calibrate(model, INSTANCES, images, DATA)
    assert set(all_statistics) == {i.id for i in INSTANCES}
    full = all_statistics["full"]
    for instance in INSTANCES[1:]:
        shared = norm_layers_before(model, instance.p)
        for name, value in all_statistics[instance.id].items():
            same = torch.equal(value, full[name])
            assert same == (name.rpartition(".")[0] in shared), (instance.id, name)


def test_the_copied_statistics_are_what_a_recomputation_gives(model, images):
    full = estimate(model, FULL, images, DATA)
    for instance in INSTANCES[1:]:
        own = estimate(model, instance, images, DATA)
        for name in norm_layers_before(model, instance.p):
            for kind in ("running_mean", "running_var"):
                assert torch.equal(own[f"{name}.{kind}"], full[f"{name}.{kind}"])


@pytest.mark.parametrize("case", TINY, ids=lambda c: c.name)
def test_exactly_the_layers_before_p_have_the_statistics_of_full_in_every_kind_of_network(case):
    model, data = with_random_norms(case.build()), DataConfig(size=case.size)
    pictures = torch.randint(256, (4, case.size, case.size, 3), dtype=torch.uint8)
    full = estimate(model, FULL, pictures, data)
    for p in (1, 2, model.points):
        own = estimate(model, Instance(p, 0.5), pictures, data)
        same = [
            name for name in norms_of(model) if torch.equal(own[f"{name}.running_var"], full[f"{name}.running_var"])
        ]
        assert same == norm_layers_before(model, p)


def test_instances_do_not_leak_into_each_other(model, images):
    together = calibrate(model, INSTANCES, images, DATA)
    for instance in reversed(INSTANCES):
        alone = calibrate(model, [instance], images, DATA)[instance.id]
        assert all(torch.equal(alone[name], value) for name, value in together[instance.id].items())


def look_at(model):
    modes = [m.training for m in model.modules()]
    momenta = [norm.momentum for norm in norms_of(model).values()]
    return modes, momenta, {name: value.clone() for name, value in model.state_dict().items()}


def assert_untouched(model, before):
    modes, momenta, state = look_at(model)
    assert (modes, momenta) == before[:2]
    assert all(torch.equal(value, before[2][name]) for name, value in state.items())


def test_the_model_is_left_as_it_was(model, images):
    model.blocks[1].train()  # a mixture of modes, and momenta that are not the default
    model.bn.momentum = 0.3
    before = look_at(model)
    calibrate(model, INSTANCES, images, DATA)
    assert_untouched(model, before)
    assert not any(value.requires_grad for value in estimate(model, FULL, images, DATA).values())


def test_the_model_is_left_as_it_was_after_an_error(model, images):
    before = look_at(model)
    with pytest.raises(ValueError):
        estimate(model, Instance(9, 0.5), images, DATA)
    assert_untouched(model, before)


def test_calibration_pictures_are_a_fixed_sample_without_repeats(monkeypatch, images):
    part = Split(images, torch.zeros(20), ("a", "b"), ("",) * 20)
    monkeypatch.setattr(module, "PICTURES", 12)
    drawn = calibration_pictures(part)
    assert len(drawn) == 12 == len({tuple(d.flatten().tolist()) for d in drawn})
    assert torch.equal(drawn, calibration_pictures(part)) and not torch.equal(drawn, images[:12])
    monkeypatch.setattr(module, "PICTURES", 100)
    assert len(calibration_pictures(part)) == 20
