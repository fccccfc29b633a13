from dataclasses import replace

import pytest
import torch
from networks import TINY, by_name

from sdpoint.config import SYSTEMS, ConfigError, SystemConfig
from sdpoint.systems import build_system
from sdpoint.systems.base import count_flops
from sdpoint.systems.sdpoint import Lesson

CASES = by_name(TINY)


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("network", CASES)
def test_every_system_trains_every_kind_of_network(config, network, system):
    case = CASES[network]
    data = replace(config.data, size=case.size)
    changed = replace(config, data=data, model=case.config, system=SystemConfig(name=system))
    try:
        built = build_system(changed, case.classes)
    except ConfigError as error:
        assert system == "sact"
        pytest.skip(str(error))
    model, x, y = built.build(), torch.randn(2, 3, case.size, case.size), torch.tensor([0, 1])
    drawn = built.draw(torch.Generator().manual_seed(0), 0, 0)
    built.step(model.train(), x, y, drawn).loss.backward()
    assert any(p.grad.abs().sum() > 0 for p in model.parameters() if p.grad is not None)
    last = built.configurations[-1]
    assert built.flops(last) == count_flops(lambda: model.eval()(x[:1], last))


@pytest.mark.parametrize("network", CASES)
@pytest.mark.parametrize("p", [1, 2])
def test_teaching_costs_what_is_counted(config, network, p):
    case = CASES[network]
    changed = replace(config, data=replace(config.data, size=case.size), model=case.config)
    system = build_system(changed, case.classes)
    model = system.build().eval()
    x, y = torch.randn(1, 3, case.size, case.size), torch.tensor([0])
    instance = next(i for i in system.configurations if i.p == p)
    flops = system.step(model, x, y, Lesson(instance, teacher=True)).flops
    assert flops == 3 * count_flops(lambda: system.step(model, x, y, Lesson(instance, teacher=True)))
