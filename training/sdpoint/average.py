"""A moving average of the weights over training steps, which is often better than the last weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of parameters and of norm layers' statistics; the model itself is not touched.

    In the first steps the decay is lower, (1 + t) / (10 + t) at step t from 0, so that random weights are soon
    forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """decay: in (0, 1), of one step."""
        self.decay = decay
        self.values = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """step: how many there were before this one."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.values[name].lerp_(value, share)
            else:
                self.values[name].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        return self.values

    def load_state_dict(self, values: dict[str, Tensor]) -> None:
        for name, value in self.values.items():
            value.copy_(values[name])
