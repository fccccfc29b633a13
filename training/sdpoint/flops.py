"""FLOPs of an instance, computed by formula from the network's plan, without weights and without a forward pass.

The result equals that of `torch.utils.flop_counter` for the network with D as a pooling. The formula of each part
stands beside the part, in `models/`.
"""

from __future__ import annotations

from sdpoint.config import ModelConfig
from sdpoint.downsample import downsampled_size
from sdpoint.instance import FULL, Instance
from sdpoint.models import plan_network
from sdpoint.models.blocks import linear_flops

CONVENTION = (
    "one picture; convolution and linear layers only (the rest is under 2 %); "
    "a multiply and an add count as two, so FLOPs = 2 x MACs"
)


def network_flops(config: ModelConfig, classes: int, size: int, instance: Instance = FULL) -> int:
    """FLOPs of an instance for one picture of size x size. Raises ValueError if the network has no such point."""
    plan = plan_network(config)
    if instance.p > plan.points:
        raise ValueError(f"p is {instance.p}; {plan.name} has points 0 to {plan.points}")
    total, size = plan.stem.flops(size), plan.stem.size_after(size)
    for point, block in enumerate(plan.blocks, start=1):
        if point == instance.p:
            size = downsampled_size(size, instance.r)
        total += block.flops(size)
        size = block.size_after(size)
    head = plan.head.flops(size) if plan.head else 0
    return total + head + linear_flops(plan.features, classes)
