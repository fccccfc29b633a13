import pytest
import torch

from sdpoint.calibrate import calibrate
from sdpoint.config import SYSTEMS as NAMES
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL
from sdpoint.systems import SYSTEMS
from sdpoint.systems.base import PASSES, count_flops, map_shapes, maps


def test_every_name_in_the_configuration_has_a_system():
    assert set(SYSTEMS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_runs_and_keeps_no_state(make, built, name, x):
    system = make(name)
    model, configurations = built(system), system.configurations
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        first = [model(x, c) for c in configurations]
        again = [model(x, c) for c in reversed(configurations)][::-1]
    assert all(torch.equal(a, b) and a.shape == (4, 3) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    ids = [c.id for c in configurations]
    assert ids[0] == "full" and len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_flops_are_what_is_counted(make, built, name):
    system = make(name)
    model, picture = built(system), torch.randn(1, 3, 16, 16)
    for configuration in system.configurations:
        assert system.flops(configuration) == count_flops(lambda c=configuration: model(picture, c))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_trains_every_parameter_with_a_finite_loss(make, built, name, x, y):
    system = make(name)
    model = built(system).train()
    loss, logits, flops = system.step(model, x, y, system.draw(torch.Generator().manual_seed(0), 0, 0))
    loss.backward()
    assert torch.isfinite(loss) and logits.shape == (4, 3) and logits.dtype == torch.float32
    assert all(p.grad is not None for p in model.parameters())
    assert 0 < flops <= PASSES * 1.2 * system.plain_flops


@pytest.mark.parametrize("name", ["scales", "sact", "exits"])
def test_configurations_are_calibrated_each_by_itself(make, built, name, images):
    system = make(name)
    model, data = built(system), system.config.data
    statistics = calibrate(model, system.configurations, images, data)
    assert set(statistics) == {c.id for c in system.configurations}
    for configuration in system.configurations:
        alone = calibrate(model, [configuration], images, data)[configuration.id]
        assert all(torch.equal(alone[key], value) for key, value in statistics[configuration.id].items())
        assert logits_of(model, configuration, alone, images, data).isfinite().all()
        assert system.mean_flops(model, configuration, alone, images) <= system.flops(configuration)


def test_maps_are_those_at_the_points_and_what_the_last_block_gives(make, built, x):
    system = make("plain")
    model = built(system)
    with torch.no_grad():
        got = list(maps(model, x))
        assert all(torch.equal(h, model.before(x, p)) for p, h in enumerate(got[:-1], start=1))
        assert torch.equal(model.after(got[-1], model.points + 1), model(x, FULL))
    assert [tuple(s[1:]) for s in map_shapes(system.config, 3)] == [tuple(h.shape[1:]) for h in got]


def test_plain_trains_full_only(make):
    system = make("plain")
    assert system.configurations == [FULL]
    assert {system.draw(torch.Generator().manual_seed(s), 0, s) for s in range(9)} == {FULL}
