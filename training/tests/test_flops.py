import json

import pytest
import torch
from make_golden import FILE, figures
from networks import PUBLISHED, TINY, Case, by_name
from torch.utils.flop_counter import FlopCounterMode

from sdpoint.config import DenseNetConfig, PreResNetConfig, WideResNetConfig
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance

GOLDEN = json.loads(FILE.read_text())
WRN_16_2 = WideResNetConfig(depth=16, width=2)
ODD = [  # maps of odd size, where strides, D and transitions have to round
    Case(WideResNetConfig(depth=22, width=1, base=5, ratios=(0.25, 0.6, 0.75)), 3, 27),
    Case(DenseNetConfig(depth=16, growth=5, ratios=(0.25, 0.6, 0.75)), 3, 27),
]
SMALL = [*TINY, *ODD, Case(WRN_16_2), Case(PreResNetConfig(depth=20)), Case(PreResNetConfig(depth=29, bottleneck=True))]


def counted(case: Case, instances: list[Instance]) -> dict[str, int]:
    """FLOPs of each instance by PyTorch's counter, in a forward pass on the device "meta"."""
    model, x, result = case.build("meta").eval(), torch.empty(1, 3, case.size, case.size, device="meta"), {}
    for instance in instances:
        with FlopCounterMode(display=False) as counter:
            model(x, instance)
        result[instance.id] = counter.get_total_flops()
    return result


def by_formula(case: Case, instances: list[Instance]) -> dict[str, int]:
    return {i.id: network_flops(case.config, case.classes, case.size, i) for i in instances}


@pytest.mark.parametrize("case", SMALL, ids=lambda c: f"{c.name} at {c.size}")
def test_formula_equals_pytorchs_counter_for_every_instance(case):
    assert by_formula(case, case.instances) == counted(case, case.instances)


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda c: c.name)
def test_formula_equals_pytorchs_counter_for_instances_of_every_published_network(case):
    last = max(i.p for i in case.instances)
    some = [FULL, Instance(1, 0.5), Instance(last // 2, 0.75)]
    assert by_formula(case, some) == counted(case, some)


def test_the_golden_table_holds_every_published_network():
    assert list(GOLDEN) == list(by_name(PUBLISHED))


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda c: c.name)
def test_parameters_and_flops_are_those_of_the_golden_table(case):
    assert figures(case) == GOLDEN[case.name]


@pytest.mark.parametrize(("instance", "share"), [((1, 0.5), 0.253), ((2, 0.5), 0.362), ((3, 0.5), 0.502)])
def test_shares_of_the_cheap_instances_of_wrn_16_2(instance, share):
    full = network_flops(WRN_16_2, 10, 32, FULL)
    assert round(network_flops(WRN_16_2, 10, 32, Instance(*instance)) / full, 3) == share


def test_a_point_the_network_lacks_is_refused():
    with pytest.raises(ValueError, match="points 0 to 6"):
        network_flops(WRN_16_2, 10, 32, Instance(7, 0.5))
