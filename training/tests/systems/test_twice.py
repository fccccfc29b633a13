from collections import Counter

import torch

from sdpoint.downsample import downsample
from sdpoint.instance import FULL, Instance
from sdpoint.systems.twice import Chain

BOTH = Chain(Instance(2, 0.75), Instance(5, 0.75))


def test_the_map_is_pooled_at_both_points(make, built, x):
    model = built(make("twice"))
    network = model.network
    with torch.no_grad():
        h = downsample(network.before(x, 2), 0.75)
        for block in network.blocks[1:4]:
            h = block(h)
        assert torch.equal(model(x, BOTH), network.after(downsample(h, 0.75), 5))
        assert torch.equal(model(x, Chain(Instance(2, 0.75))), network(x, Instance(2, 0.75)))


def test_a_second_downsampling_costs_less_than_one(make):
    system = make("twice")
    assert BOTH.id == "p02-r750+p05-r750" and BOTH in system.configurations
    assert system.flops(BOTH) < system.flops(Chain(Instance(2, 0.75))) < system.flops(Chain(FULL)) == system.plain_flops
    assert len(system.configurations) == 13 + 2 * 15


def test_half_of_the_steps_downsample_twice_and_none_is_forgotten(make):
    system, generator = make("twice"), torch.Generator().manual_seed(0)
    counts = Counter(system.draw(generator, 0, index) for index in range(3000))
    assert set(counts) == set(system.configurations)
    assert 1350 < sum(count for chain, count in counts.items() if chain.second != FULL) < 1650
