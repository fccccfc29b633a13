"""SDPoint with up to two downsamplings in a forward pass. It is not in the paper, and tests if that extends the
frontier.

Half of the steps draw an instance as SDPoint does. The other half draw two points p < q, uniformly, and one ratio for
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from sdpoint.config import Config
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import plan_network
from sdpoint.sampling import sample_instance
from sdpoint.systems.base import PASSES, Step, System, count_flops


@dataclass(frozen=True, order=True)
class Chain:
    """A configuration: an instance, and a second one that downsamples again at a later point. second = FULL: none."""

    first: Instance
    second: Instance = FULL

    @property
    def id(self) -> str:
        """Name of the configuration: `full`, `p01-r500`, or `p01-r500+p03-r500`."""
        return self.first.id if self.second == FULL else f"{self.first.id}+{self.second.id}"


class Chained(nn.Module):
    """A network that can downsample at two points."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def name(self) -> str:
        return f"{self.network.name} downsampled twice"

    def forward(self, x: Tensor, chain: Chain) -> Tensor:
        """Logits [n, classes] of x [n, 3, h, w] float32, normalised."""
        (p, r), (q, s) = ((i.p, i.r) for i in (chain.first, chain.second))
        if not q:
            return self.network(x, chain.first)
        h = self.network.before(x, p, r)
        for block in self.network.blocks[p - 1 : q - 1]:
            h = block(h)
        return self.network.after(self.network.downsample(h, s), q)


class Twice(System):
    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        self.last = plan_network(config.model).points
        self.costs: dict[Chain, int] = {}  # computed on demand, because deep networks have many chains

    def build(self) -> Chained:
        return Chained(super().build())

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return list(combinations(range(1, self.last + 1), 2))

    @property
    def configurations(self) -> list[Chain]:
        ratios = self.config.model.ratios
        single = [Chain(i) for i in enumerate_instances(self.last, ratios)]
        return single + [Chain(Instance(p, r), Instance(q, r)) for p, q in self.pairs for r in sorted(ratios)]

    def flops(self, configuration: Chain) -> int:
        if configuration not in self.costs:
            self.costs[configuration] = count_flops(lambda: self.unweighted(self.unseen, configuration))
        return self.costs[configuration]

    def draw(self, generator: torch.Generator, epoch: int, index: int) -> Chain:
        ratios, pairs = self.config.model.ratios, self.pairs
        if int(torch.randint(2, (), generator=generator)) == 0:
            return Chain(sample_instance(generator, range(self.last + 1), ratios))
        p, q = pairs[int(torch.randint(len(pairs), (), generator=generator))]
        r = ratios[int(torch.randint(len(ratios), (), generator=generator))]
        return Chain(Instance(p, r), Instance(q, r))

    def step(self, model: Chained, x: Tensor, y: Tensor, drawn: Chain) -> Step:
        logits = model(x, drawn).float()
        return Step(self.cross_entropy(logits, y), logits, PASSES * self.flops(drawn))
