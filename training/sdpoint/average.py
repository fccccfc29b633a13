"""A moving average of the weights over training steps; it is often more accurate than the last weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of a model's parameters and batch-norm statistics. The model is not changed.

    At step t, counted from 0, the decay is at most (1 + t) / (10 + t), so that the random initial weights lose their
    influence early.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """decay: weight of the old average in each step, in (0, 1)."""
        self.decay = decay
        self.values = {name: value.clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Include the model's present values. step: number of updates before this one."""
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
