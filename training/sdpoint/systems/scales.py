"""MS: multi-scale training. Each step uses pictures of a randomly drawn size; the size determines the cost.

Pictures are reduced by an antialiased bilinear filter. Each scale has its own batch-norm statistics, like the instances
of SDPoint. Published multi-scale training usually has no such statistics; they make the comparison fair.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.downsample import downsampled_size
from sdpoint.flops import network_flops
from sdpoint.instance import FULL
from sdpoint.systems.base import PASSES, Step, System


@dataclass(frozen=True, order=True)
class Scale:
    """A configuration. ratio: factor on the sides of the picture, in (0, 1]."""

    ratio: float

    @property
    def id(self) -> str:
        return "full" if self.ratio == 1 else f"s{round(self.ratio * 1000):03d}"


class MultiScale(nn.Module):
    """A network that resizes its input first."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def name(self) -> str:
        return f"{self.network.name} at several scales"

    def forward(self, x: Tensor, scale: Scale) -> Tensor:
        """Logits [n, classes] of x [n, 3, h, w] float32, normalised, after resizing it by the scale."""
        if scale.ratio != 1:
            size = [downsampled_size(side, scale.ratio) for side in x.shape[-2:]]
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        return self.network(x, FULL)


class Scales(System):
    def build(self) -> MultiScale:
        return MultiScale(super().build())

    @property
    def configurations(self) -> list[Scale]:
        return [Scale(1.0), *map(Scale, self.config.system.scales)]

    def flops(self, configuration: Scale) -> int:
        size = downsampled_size(self.config.data.size, configuration.ratio)
        return network_flops(self.config.model, self.classes, size, FULL)

    def draw(self, generator: torch.Generator, epoch: int, index: int) -> Scale:
        """Draw a scale, all equally likely."""
        return self.configurations[int(torch.randint(len(self.configurations), (), generator=generator))]

    def step(self, model: MultiScale, x: Tensor, y: Tensor, drawn: Scale) -> Step:
        logits = model(x, drawn).float()
        return Step(self.cross_entropy(logits, y), logits, PASSES * self.flops(drawn))
