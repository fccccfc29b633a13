from collections import Counter

import torch
import torch.nn.functional as F

from sdpoint.instance import FULL
from sdpoint.systems.scales import Scale


def test_a_scale_is_the_network_on_a_smaller_picture(make, built, x):
    model = built(make("scales"))
    small = F.interpolate(x, (8, 8), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.equal(model(x, Scale(0.5)), model.network(small, FULL))
        assert torch.equal(model(x, Scale(1.0)), model.network(x, FULL))


def test_scales_are_drawn_alike(make):
    system, generator = make("scales", scales=(0.5, 0.75)), torch.Generator().manual_seed(0)
    counts = Counter(system.draw(generator, 0, index).id for index in range(600))
    assert set(counts) == {"full", "s500", "s750"} and min(counts.values()) > 150


def test_cost_goes_with_the_area(make):
    system = make("scales", scales=(0.5,))
    assert 0.24 < system.flops(Scale(0.5)) / system.plain_flops < 0.26
