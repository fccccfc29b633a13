"""The baseline: the same network, trained only as `full`."""

from __future__ import annotations

from torch import Tensor, nn

from sdpoint.instance import FULL, Instance
from sdpoint.systems.base import PASSES, Step, System


class Plain(System):
    @property
    def configurations(self) -> list[Instance]:
        return [FULL]

    def flops(self, configuration: Instance) -> int:
        return self.plain_flops

    def step(self, model: nn.Module, x: Tensor, y: Tensor, drawn: Instance) -> Step:
        logits = model(x, drawn).float()
        return Step(self.cross_entropy(logits, y), logits, PASSES * self.plain_flops)
