"""EE: early exits, classifiers after inner blocks, trained jointly with the network's own; cost = exit taken.

BranchyNet (Teerapittayanon et al. 2016, arXiv 1709.01686), with a linear classifier on each exit, as the network's
own: norm, ReLU, mean over positions, linear. The loss is the sum of all classifiers' losses, the inner ones weighted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import Config, ConfigError
from sdpoint.instance import FULL
from sdpoint.systems.base import PASSES, Step, System, count_flops, map_shapes, maps


@dataclass(frozen=True, order=True)
class Exit:
    """The classifier after this block, counted from 1; 0 is the network's own, at its end."""

    block: int

    @property
    def id(self) -> str:
        return f"exit{self.block:02d}" if self.block else "full"


class Head(nn.Module):
    """[n, channels, h, w] -> logits [n, classes]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, h: Tensor) -> Tensor:
        return self.fc(F.relu(self.bn(h)).mean((2, 3)))


class EarlyExits(nn.Module):
    """A network with a head after some of its blocks; channels: block -> channels of its output."""

    def __init__(self, network: nn.Module, channels: Mapping[int, int], classes: int) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleDict({str(block): Head(c, classes) for block, c in channels.items()})

    @property
    def name(self) -> str:
        return f"{self.network.name} with exits"

    def forward(self, x: Tensor, exit: Exit) -> Tensor:
        """x: [n, 3, h, w] float32, normalised -> logits [n, classes] of that exit."""
        if not exit.block:
            return self.network(x, FULL)
        return self.heads[str(exit.block)](self.network.before(x, exit.block + 1))

    def all_logits(self, x: Tensor) -> dict[Exit, Tensor]:
        """Of every exit, with each block run once."""
        logits = {}
        for block, h in enumerate(maps(self.network, x)):
            if str(block) in self.heads:
                logits[Exit(block)] = self.heads[str(block)](h)
        return logits | {Exit(0): self.network.after(h, self.network.points + 1)}


class Exits(System):
    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        shapes = map_shapes(config, classes)
        blocks = len(shapes) - 1
        self.blocks = config.system.exits or tuple(sorted({max(1, round(blocks * k / 4)) for k in (1, 2, 3)}))
        if max(self.blocks) >= blocks:
            raise ConfigError(f"system.exits is {list(self.blocks)}; inner blocks are 1 to {blocks - 1}")
        self.channels = {block: shapes[block][1] for block in self.blocks}
        self.costs = {c: count_flops(lambda c=c: self.unweighted(self.unseen, c)) for c in self.configurations}
        self.step_flops = PASSES * count_flops(lambda: self.unweighted.all_logits(self.unseen))

    def build(self) -> EarlyExits:
        return EarlyExits(super().build(), self.channels, self.classes)

    @property
    def configurations(self) -> list[Exit]:
        return [Exit(0), *map(Exit, self.blocks)]

    def flops(self, configuration: Exit) -> int:
        """Of what runs if pictures leave at this exit; the heads passed on the way are not asked."""
        return self.costs[configuration]

    def step(self, model: EarlyExits, x: Tensor, y: Tensor, drawn: Exit) -> Step:
        logits = {exit: each.float() for exit, each in model.all_logits(x).items()}
        losses = {exit: self.cross_entropy(each, y) for exit, each in logits.items()}
        own = losses.pop(Exit(0))
        return Step(own + self.config.system.exit_weight * sum(losses.values()), logits[Exit(0)], self.step_flops)
