"""Draws the instance of a training step (paper section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sdpoint.instance import FULL, Instance


def sample_instance(
    generator: torch.Generator, points: Sequence[int], ratios: Sequence[float], weights: Sequence[float] = ()
) -> Instance:
    """Draw p from `points`, uniformly or by `weights`, then r uniformly from `ratios` (r is 1 if p is 0).

    points: the points to draw from, with 0 for no downsampling; weights: relative frequencies of the points, uniform if
    empty. The paper's reference code confuses a drawn 0 with "no downsampling", so that one point is never trained and
    `full` is drawn twice as often; here it is drawn once.
    """
    if weights:
        drawn = torch.multinomial(torch.tensor(weights, dtype=torch.float64), 1, generator=generator)
    else:
        drawn = torch.randint(len(points), (), generator=generator)
    p = points[int(drawn)]
    if p == 0:
        return FULL
    return Instance(p, ratios[int(torch.randint(len(ratios), (), generator=generator))])


def gaps(costs: Sequence[float]) -> tuple[float, ...]:
    """Sampling weights for points, by their costs; they add up to 1. costs: one for each point, in any order and unit.

    If many points cost almost the same, as in deep networks, each of them is less useful than a point with a cost of
    its own. So one half of the total weight is divided equally. The other half is divided in proportion to the range of
    costs to which a point is the nearest.
    """
    count = len(costs)
    order = sorted(range(count), key=lambda i: costs[i])
    cells = [0.0] * count
    for rank, i in enumerate(order):
        below, above = order[max(rank - 1, 0)], order[min(rank + 1, count - 1)]
        cells[i] = (costs[above] - costs[below]) / 2
    total = sum(cells)
    return tuple(0.5 / count + 0.5 * cell / total if total else 1 / count for cell in cells)
