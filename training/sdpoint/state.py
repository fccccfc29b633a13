"""The state of a training run, with everything that is needed to resume it exactly."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from sdpoint.average import Average
from sdpoint.config import Config
from sdpoint.run import write_atomically


@dataclass
class UnderWay:
    """An epoch that has begun.

    loss: sum over its steps; correct: right answers so far; flops: spent so far in the epoch.
    """

    began: Tensor  # state of the generator at the start of the epoch; it determines the order of pictures
    steps: int = 0
    loss: float = 0.0
    correct: int = 0
    flops: int = 0


@dataclass
class State:
    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    average: Average | None = None
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler("cpu", enabled=False))
    epoch: int = 0  # number of finished epochs
    under_way: UnderWay | None = None
    seconds: float = 0.0
    flops: int = 0  # spent in finished epochs, backward passes included

    def save(self, path: Path, config: Config, classes: tuple[str, ...]) -> None:
        content = {
            "config": config.as_dict(),
            "classes": classes,
            "model": self.model.state_dict(),
            "average": self.average and self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "under_way": self.under_way and asdict(self.under_way),
            "seconds": self.seconds,
            "flops": self.flops,
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def load(self, path: Path) -> None:
        content = torch.load(path, weights_only=True, map_location="cpu")
        self.model.load_state_dict(content["model"])
        if self.average:
            self.average.load_state_dict(content.get("average") or content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content.get("scaler", {}))
        self.generator.set_state(content["generator"])
        self.epoch, self.seconds, self.flops = content["epoch"], content["seconds"], content.get("flops", 0)
        under_way = content.get("under_way")
        self.under_way = UnderWay(**under_way) if under_way else None

    def result(self) -> nn.Module:
        """The network that the run results in: a copy with averaged weights if there is an average, else the model."""
        if not self.average:
            return self.model
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.average.state_dict())
        return model
