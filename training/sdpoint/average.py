"""A moving average of the weights over training steps; it is often more accurate than the last weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Average:
    """Exponential moving average of tensors, such as a model's parameters and batch-norm statistics.

    At step t, counted from 0, the decay is at most (1 + t) / (10 + t), so that the first values lose their influence
    early.
    """

    def __init__(self, tensors: Mapping[str, Tensor], decay: float) -> None:
        """tensors: the first values, by name, copied; decay: weight of the old average in each step, in (0, 1)."""
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in tensors.items()}

    @torch.no_grad()
    def update(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Include the present values. step: number of updates before this one."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in tensors.items():
            if value.is_floating_point():
                self.values[name].lerp_(value, share)
            else:
                self.values[name].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        return self.values

    def load_state_dict(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self.values.items():
            value.copy_(values[name])
