"""Wide residual networks for small pictures (Zagoruyko & Komodakis 2016, arXiv 1605.07146), pre-activation."""

from __future__ import annotations

from sdpoint.config import WideResNetConfig
from sdpoint.models.blocks import Conv, PreActivation, basic, residual_groups
from sdpoint.models.network import Network, NetworkPlan


class WideResNet(Network):
    """WRN-<depth>-<width>: (depth - 4) / 6 basic blocks in each of three groups."""

    @staticmethod
    def plan_of(config: WideResNetConfig) -> NetworkPlan:
        count = (config.depth - 4) // 6
        return NetworkPlan(
            name=f"wrn-{config.depth}-{config.width}" + ("" if config.base == 16 else f"-base{config.base}"),
            stem=Conv(3, config.base, 3),
            blocks=residual_groups(config.base, config.base * config.width, [count] * 3, basic, PreActivation),
        )
