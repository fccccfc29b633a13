import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sdpoint.config import WideResNetConfig
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import plan_network
from sdpoint.models.wrn import WideResNet

GOLDEN = json.loads((Path(__file__).parent / "flops.json").read_text())
WRN_16_2 = WideResNetConfig(depth=16, width=2)


def counted(config: WideResNetConfig, classes: int, size: int, instance: Instance) -> int:
    """What PyTorch's counter sees in a forward pass; on the meta device, so that nothing is computed."""
    with torch.device("meta"):
        model, x = WideResNet(config, classes), torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        model(x, instance)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("config", "classes", "size"),
    [
        (WRN_16_2, 10, 32),
        (WideResNetConfig(depth=28, width=10, ratios=(0.25, 0.6, 0.75)), 100, 32),
        (WideResNetConfig(depth=22, width=1, base=5), 3, 27),  # odd maps: strides and D both round
    ],
    ids=["wrn-16-2", "wrn-28-10", "wrn-22-1 odd"],
)
def test_formula_equals_pytorchs_counter_for_every_instance(config, classes, size):
    instances = enumerate_instances(plan_network(config).points, config.ratios)
    assert {i.id: network_flops(config, classes, size, i) for i in instances} == {
        i.id: counted(config, classes, size, i) for i in instances
    }


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_table(name):
    depth, width = map(int, name.removeprefix("wrn-").split("-"))
    config = WideResNetConfig(depth=depth, width=width)
    assert plan_network(config).name == name
    instances = enumerate_instances(plan_network(config).points, config.ratios)
    assert {i.id: network_flops(config, 10, 32, i) for i in instances} == GOLDEN[name]


@pytest.mark.parametrize(("instance", "share"), [((1, 0.5), 0.253), ((2, 0.5), 0.362), ((3, 0.5), 0.502)])
def test_shares_of_the_cheap_instances_of_wrn_16_2(instance, share):
    full = network_flops(WRN_16_2, 10, 32, FULL)
    assert round(network_flops(WRN_16_2, 10, 32, Instance(*instance)) / full, 3) == share


def test_a_point_the_network_lacks_is_refused():
    with pytest.raises(ValueError, match="points 0 to 6"):
        network_flops(WRN_16_2, 10, 32, Instance(7, 0.5))
