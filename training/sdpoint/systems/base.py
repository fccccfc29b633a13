"""The base class of systems. A system is one way of training a network so that it runs at several costs.

All systems are trained by the same loop, on the same networks and pictures. After training, every configuration of
every system gets batch-norm statistics of its own from the same estimator (sdpoint/calibrate.py), also if that is not
part of the published method. So the comparison is about how the weights are trained.
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

PASSES = 3  # FLOPs of a training step in forward passes: one for forward, two for backward


class Configuration(Protocol):
    """One way of running a trained network, as an immutable, hashable value.

    The id of the most expensive one is `full`.
    """

    @property
    def id(self) -> str: ...


class Step(NamedTuple):
    """Result of a training step.

    loss: scalar with gradients; logits: [n, classes] float32; flops: spent for each picture.
    """

    loss: Tensor
    logits: Tensor
    flops: int


class System(ABC):
    """A way of training. The module that `build` returns has `forward(x, configuration)` -> logits [n, classes]."""

    ubn = False  # whether it is also measured with the running averages of training, as in the paper's ablation UBN

    def __init__(self, config: Config, classes: int) -> None:
        """classes: number of classes. Raises ConfigError if the configuration does not fit the network."""
        self.config, self.classes = config, classes

    def build(self) -> nn.Module:
        """A new network, with the layers that the system adds to it."""
        return build_model(self.config.model, self.classes)

    @property
    @abstractmethod
    def configurations(self) -> list[Any]:
        """All configurations that are measured, `full` first."""

    @abstractmethod
    def flops(self, configuration: Any) -> int:
        """FLOPs of a configuration for one picture, as sdpoint/flops.py counts them; the maximum if pictures differ."""

    def draw(self, generator: torch.Generator, epoch: int, index: int) -> Any:
        """Draw what a step trains; the result is the argument `drawn` of `step`. `step` itself draws nothing.

        epoch: from 0; index: of the step within the epoch, from 0.
        """
        return self.configurations[0]

    @abstractmethod
    def step(self, model: nn.Module, x: Tensor, y: Tensor, drawn: Any) -> Step:
        """Compute the loss for a batch. The model is in train mode.

        x: [n, 3, h, w] float32, normalised; y: [n] int64.
        """

    def mean_flops(self, model: nn.Module, configuration: Any, statistics: Statistics, images: Tensor) -> int:
        """Mean FLOPs of a configuration for the pictures [n, h, w, 3] uint8."""
        return self.flops(configuration)

    @property
    def plain_flops(self) -> int:
        """FLOPs of the unchanged network for one picture; costs are given as shares of it."""
        return network_flops(self.config.model, self.classes, self.config.data.size, FULL)

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, label_smoothing=self.config.train.label_smoothing)

    @cached_property
    def unweighted(self) -> nn.Module:
        """The network on the device "meta", where weights take no memory: to compute shapes and costs."""
        with torch.device("meta"):
            return self.build().eval()

    @property
    def unseen(self) -> Tensor:
        """An input for `unweighted`, [1, 3, size, size]."""
        return torch.empty(1, 3, self.config.data.size, self.config.data.size, device="meta")


def maps(network: nn.Module, x: Tensor) -> Iterator[Tensor]:
    """Yield the feature maps at points 1 to N, and the output of the last block. x: [n, 3, h, w]."""
    h = network.before(x, 1)
    yield h
    for block in network.blocks:
        h = block(h)
        yield h


def map_shapes(config: Config, classes: int) -> list[torch.Size]:
    """Shapes [1, channels, height, width] of the feature maps that `maps` yields."""
    with torch.device("meta"):
        network = build_model(config.model, classes).eval()
        x = torch.empty(1, 3, config.data.size, config.data.size)
    return [h.shape for h in maps(network, x)]


def count_flops(call: Callable[[], Any]) -> int:
    """FLOPs of convolution and linear layers in a call, for parts that sdpoint/flops.py has no formula for."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
