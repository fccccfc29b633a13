"""What a system is: one way of training a network so that it runs at several costs.

Every system is trained by the same loop, on the same networks and pictures. After training, each of its
configurations gets batch-norm statistics of its own by the same estimator (sdpoint/calibrate.py), whether or not its
inventors did so: the comparison is of how the weights were trained.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sdpoint.calibrate import Statistics
from sdpoint.config import Config
from sdpoint.flops import network_flops
from sdpoint.instance import FULL
from sdpoint.models import build_model

PASSES = 3  # a training step costs this many forward passes: one forward, two backward


class Configuration(Protocol):
    """One way of running a trained network: an immutable, hashable value. `full` names the dearest."""

    @property
    def id(self) -> str: ...


class Step(NamedTuple):
    """loss: a scalar with gradients; logits: [n, classes] float32 of what was trained; flops: spent on one picture."""

    loss: Tensor
    logits: Tensor
    flops: int


class System(ABC):
    """`build()` gives a module whose `forward(x, configuration)` returns logits [n, classes] and keeps no state."""

    ubn = False  # also measured with the shared running averages that training left: the paper's ablation UBN

    def __init__(self, config: Config, classes: int) -> None:
        """Raises ConfigError if the configuration does not fit the network."""
        self.config, self.classes = config, classes

    def build(self) -> nn.Module:
        """A new network, with whatever the system adds to it."""
        return build_model(self.config.model, self.classes)

    @property
    @abstractmethod
    def configurations(self) -> list[Any]:
        """All ways of running the network that are worth measuring, `full` first."""

    @abstractmethod
    def flops(self, configuration: Any) -> int:
        """Of one picture, in the convention of sdpoint/flops.py; the most it can be if pictures differ."""

    def draw(self, generator: torch.Generator, epoch: int, index: int) -> Any:
        """What a step is to train, for `step`: all of its chance is in here.

        epoch and index, of the step in the epoch, count from 0.
        """
        return self.configurations[0]

    @abstractmethod
    def step(self, model: nn.Module, x: Tensor, y: Tensor, drawn: Any) -> Step:
        """What a batch teaches the model, which is in train mode. x: [n, 3, h, w] float32, normalised; y: [n] int64."""

    def mean_flops(self, model: nn.Module, configuration: Any, statistics: Statistics, images: Tensor) -> int:
        """Of the pictures [n, h, w, 3] uint8, on average."""
        return self.flops(configuration)

    @property
    def plain_flops(self) -> int:
        """Of the network without anything added or left out: what shares are of."""
        return network_flops(self.config.model, self.classes, self.config.data.size, FULL)

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, label_smoothing=self.config.train.label_smoothing)

    @cached_property
    def unweighted(self) -> nn.Module:
        """The network without memory behind its weights: for shapes and costs."""
        with torch.device("meta"):
            return self.build().eval()

    @property
    def unseen(self) -> Tensor:
        """A picture for it, [1, 3, size, size]."""
        return torch.empty(1, 3, self.config.data.size, self.config.data.size, device="meta")


def maps(network: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """The feature maps at points 1 to N, and what the last block gives. x: [n, 3, h, w]."""
    h = network.before(x, 1)
    yield h
    for block in network.blocks:
        h = block(h)
        yield h


def map_shapes(config: Config, classes: int) -> list[torch.Size]:
    """[1, channels, height, width] of each of the maps."""
    with torch.device("meta"):
        network = build_model(config.model, classes).eval()
        x = torch.empty(1, 3, config.data.size, config.data.size)
    return [h.shape for h in maps(network, x)]


def count_flops(call: Callable[[], Any]) -> int:
    """What a call costs in convolution and linear layers, for parts that sdpoint/flops.py has no formula for."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
