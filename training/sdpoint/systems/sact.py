"""SACT: spatially adaptive computation time for residual nets (Figurnov et al. 2017, arXiv 1612.02297).

Consecutive residual blocks whose output maps have the same shape form a group. After each block of a group except the
last, a halting score in (0, 1) is computed for every position of the map. A position stops when its scores add up to
the threshold; later blocks of the group do not change it. The output of a group is the mean of its blocks' maps,
weighted by the scores (the last one by the remainder). The loss adds tau times the ponder cost: the number of blocks
done plus the remainder, averaged over positions, summed over groups.

The network is trained with threshold 0.99 (1 - epsilon in the paper). Lower thresholds stop earlier. They are cheaper
configurations of the same weights, each with its own batch-norm statistics. Other values of tau need other training
runs.

The cost of a configuration is a mean over the evaluated pictures; a block counts only at the positions where it ran.
That is favourable to SACT: a position that runs also needs the first convolution at its neighbours, which is not
counted. This implementation computes every block at every position and masks the result, so training costs more than
for the plain network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sdpoint.calibrate import Statistics
from sdpoint.config import Config, ConfigError
from sdpoint.data import normalise
from sdpoint.systems.base import PASSES, Step, System, count_flops, map_shapes

TRAINED_AT = 0.99
BATCH = 250


@dataclass(frozen=True, order=True)
class Halting:
    """A configuration. threshold: a position stops when its scores add up to this, in (0, 1)."""

    threshold: float

    @property
    def id(self) -> str:
        return "full" if self.threshold == TRAINED_AT else f"t{round(self.threshold * 1000):03d}"


class Traced(NamedTuple):
    """Output with costs.

    logits: [n, classes]; ponder: scalar; activity: [n, blocks], share of positions that ran a block.
    """

    logits: Tensor
    ponder: Tensor
    activity: Tensor


class Score(nn.Module):
    """Halting scores: [n, channels, h, w] -> [n, 1, h, w] float32 in (0, 1).

    A score depends on the 3x3 neighbourhood of the position and on the mean of the whole map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, 1, 3, padding=1, bias=False)
        self.whole = nn.Linear(channels, 1)
        nn.init.constant_(self.whole.bias, -3.0)  # so that all blocks run at the start of training

    def forward(self, h: Tensor) -> Tensor:
        return torch.sigmoid(self.local(h).float() + self.whole(h.mean((2, 3))).float()[..., None, None])


class AdaptiveDepth(nn.Module):
    """A residual network with early halting of positions. shapes: of its maps, from point 1 to after the last block."""

    def __init__(self, network: nn.Module, shapes: Sequence[torch.Size]) -> None:
        super().__init__()
        self.network = network
        self.groups = [list(group) for _, group in groupby(range(len(shapes) - 1), key=lambda k: shapes[k + 1])]
        scored = [block for group in self.groups for block in group[:-1]]
        self.scores = nn.ModuleDict({str(block): Score(shapes[block + 1][1]) for block in scored})

    @property
    def name(self) -> str:
        return f"{self.network.name} with adaptive depth"

    def forward(self, x: Tensor, halting: Halting, traced: bool = False) -> Tensor | Traced:
        """Logits [n, classes] of x [n, 3, h, w] float32, normalised.

        traced: return a `Traced` with ponder cost and activity.
        """
        h, ponder, activity = self.network.before(x, 1), torch.zeros((), device=x.device), []
        for group in self.groups:
            h, group_ponder, group_activity = self._run(group, h, halting.threshold)
            ponder = ponder + group_ponder
            activity += group_activity
        logits = self.network.after(h, self.network.points + 1)
        return Traced(logits, ponder, torch.stack(activity, dim=1)) if traced else logits

    def _run(self, group: Sequence[int], h: Tensor, threshold: float) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Run one group; returns (weighted mean of its blocks' maps, ponder cost, activity [n] of each block)."""
        h = self.network.blocks[group[0]](h)
        running = torch.ones_like(h[:, :1], dtype=torch.bool)
        remainder = torch.ones_like(h[:, :1], dtype=torch.float32)  # 1 minus the scores so far
        mean, ponder, activity = torch.zeros_like(h, dtype=torch.float32), 0.0, []
        for block in group:
            if block != group[0]:
                h = torch.where(running, self.network.blocks[block](h), h)
            activity.append(running.float().mean((1, 2, 3)))
            if block == group[-1]:
                stops, weight = running, remainder * running
            else:
                score = self.scores[str(block)](h)
                stops = running & (1 - remainder + score >= threshold)
                weight = torch.where(stops, remainder, score) * running
            mean = mean + weight * h
            ponder = ponder + running.float().mean() + (remainder * stops).mean()
            remainder, running = remainder - weight, running & ~stops
        return mean.to(h.dtype), ponder, activity


class Sact(System):
    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        self.shapes = map_shapes(config, classes)
        if all(len(group) == 1 for group in self.unweighted.groups):
            raise ConfigError(
                "model: no two residual blocks in a row give maps of one shape; sact has none to leave out"
            )
        self.dense = count_flops(lambda: self.unweighted(self.unseen, Halting(TRAINED_AT)))
        blocks = self.unweighted.network.blocks
        self.block_flops = [
            count_flops(lambda b=block, s=shape: b(torch.empty(s, device="meta")))
            for block, shape in zip(blocks, self.shapes, strict=False)
        ]

    def build(self) -> AdaptiveDepth:
        return AdaptiveDepth(super().build(), self.shapes)

    @property
    def configurations(self) -> list[Halting]:
        return [Halting(TRAINED_AT), *map(Halting, self.config.system.thresholds)]

    def flops(self, configuration: Halting) -> int:
        """The maximum, reached if no position stops before the last block."""
        return self.dense

    @torch.no_grad()
    def mean_flops(self, model: nn.Module, configuration: Halting, statistics: Statistics, images: Tensor) -> int:
        device = next(model.parameters()).device
        own = {name: value.to(device) for name, value in statistics.items()}
        batches = (normalise(x.to(device), self.config.data) for x in images.split(BATCH))
        shares = [functional_call(model, own, (x, configuration, True)).activity for x in batches]
        left_out = (1 - torch.cat(shares).mean(0).double().cpu()) @ torch.tensor(self.block_flops, dtype=torch.float64)
        return round(self.dense - left_out.item())

    def step(self, model: AdaptiveDepth, x: Tensor, y: Tensor, drawn: Halting) -> Step:
        traced = model(x, drawn, True)
        logits = traced.logits.float()
        loss = self.cross_entropy(logits, y) + self.config.system.tau * traced.ponder
        return Step(loss, logits, PASSES * self.dense)
