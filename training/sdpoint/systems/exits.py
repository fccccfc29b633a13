"""EE: early exits. Classifiers after inner blocks are trained jointly with the last one; the exit determines the cost.

BranchyNet (Teerapittayanon et al. 2016, arXiv 1709.01686). Each exit has the same kind of classifier as the network:
norm, ReLU, mean over positions, linear layer. The loss is the weighted sum of the losses of all classifiers.
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
    """A configuration: the exit after this block, counted from 1. 0 means the last classifier (`full`)."""

    block: int

    @property
    def id(self) -> str:
        return f"exit{self.block:02d}" if self.block else "full"


class Head(nn.Module):
    """The classifier of an exit: [n, channels, h, w] -> logits [n, classes]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, h: Tensor) -> Tensor:
        return self.fc(F.relu(self.bn(h)).mean((2, 3)))


class EarlyExits(nn.Module):
    """A network with exits. channels: by block with an exit, the channels of the block's output."""

    def __init__(self, network: nn.Module, channels: Mapping[int, int], classes: int) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleDict({str(block): Head(c, classes) for block, c in channels.items()})

    @property
    def name(self) -> str:
        return f"{self.network.name} with exits"

    def forward(self, x: Tensor, exit: Exit) -> Tensor:
        """Logits [n, classes] of an exit for x [n, 3, h, w] float32, normalised."""
        if not exit.block:
            return self.network(x, FULL)
        return self.heads[str(exit.block)](self.network.before(x, exit.block + 1))

    def all_logits(self, x: Tensor) -> dict[Exit, Tensor]:
        """The logits of every exit; each block runs once. x: as in `forward`."""
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
        """FLOPs of the blocks up to the exit and of its classifier; the classifiers of earlier exits do not run."""
        return self.costs[configuration]

    def step(self, model: EarlyExits, x: Tensor, y: Tensor, drawn: Exit) -> Step:
        logits = {exit: each.float() for exit, each in model.all_logits(x).items()}
        losses = {exit: self.cross_entropy(each, y) for exit, each in logits.items()}
        own = losses.pop(Exit(0))
        return Step(own + self.config.system.exit_weight * sum(losses.values()), logits[Exit(0)], self.step_flops)
