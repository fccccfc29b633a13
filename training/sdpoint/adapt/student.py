"""The weights that a distillation trains: those that instances share, and those of each instance.

An instance's own are the scale and shift of the norm layers behind its point and, if asked for, a classifier. Running
statistics stay the trained ones: batches of a few dozen pictures would make them noisy, and scale and shift can do what
they could.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call

from sdpoint.adapt.settings import Distil
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.adapt.tune import own_parameters
from sdpoint.calibrate import Statistics
from sdpoint.config import TrainConfig
from sdpoint.instance import FULL, Instance
from sdpoint.models import Network

CLASSIFIER = "fc."  # prefix of its names in all networks


class Student:
    """shared: all weights of the network, by name. own: by instance id, weights in place of the shared ones.

    Only tensors that are trained require a gradient. `full` has none of its own: it consists of the shared weights.
    """

    def __init__(self, model: Network, instances: Sequence[Instance], distil: Distil) -> None:
        """model: the original network, in eval mode; not changed."""
        self.model, self.instances = model, tuple(instances)
        trained = {"nothing": (), "classifier": (CLASSIFIER,), "all": ("",)}[distil.shared]
        self.shared = {
            name: value.detach().clone().requires_grad_(name.startswith(trained))
            for name, value in model.named_parameters()
        }
        self.own = {i.id: self._own(i, distil.own_classifier) for i in instances}

    def _own(self, instance: Instance, classifier: bool) -> dict[str, Tensor]:
        if instance == FULL:
            return {}
        names = own_parameters(self.model, instance)
        names += [name for name in self.shared if classifier and name.startswith(CLASSIFIER)]
        return {name: self.shared[name].detach().clone().requires_grad_() for name in names}

    @property
    def trained(self) -> list[Instance]:
        """The instances that have a weight to train; without shared ones `full` has none."""
        some = any(value.requires_grad for value in self.shared.values())
        return [i for i in self.instances if some or self.own[i.id]]

    def logits(self, x: Tensor, instance: Instance) -> Tensor:
        """x: [n, 3, h, w] float32, normalised -> [n, classes]."""
        return functional_call(self.model, self.shared | self.own[instance.id], (x, instance))

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that are trained, by a name that is the same in every call."""
        named = {f"shared/{name}": value for name, value in self.shared.items() if value.requires_grad}
        return named | {f"{id}/{name}": value for id, own in self.own.items() for name, value in own.items()}

    def optimizer(self, train: TrainConfig, distil: Distil) -> torch.optim.Adam:
        """Adam; each group has its peak rate as `peak`. An instance's tensors only move in its own steps."""
        tensors = self.tensors()
        norms = [value for name, value in tensors.items() if not _slow(name)]
        others = [value for name, value in tensors.items() if _slow(name)]
        groups = [{"params": norms, "peak": train.lr}, {"params": others, "peak": distil.shared_lr}]
        return torch.optim.Adam([group for group in groups if group["params"]], lr=train.lr)

    @torch.no_grad()
    def load(self, values: dict[str, Tensor]) -> None:
        """Set the trained tensors. values: as of `tensors`."""
        for name, tensor in self.tensors().items():
            tensor.copy_(values[name])

    def result(self, values: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Statistics]]:
        """(changed shared weights by name; by instance id, its statistics and own weights), on the CPU.

        values: of the trained tensors, as of `tensors`.
        """

        def of(prefix: str) -> dict[str, Tensor]:
            start = f"{prefix}/"
            return {n.removeprefix(start): v.detach().cpu().clone() for n, v in values.items() if n.startswith(start)}

        statistics = {name: value.cpu() for name, value in trained_statistics(self.model).items()}
        return of("shared"), {i.id: statistics | of(i.id) for i in self.instances}


def _slow(name: str) -> bool:
    """Whether a tensor is trained with distil.shared_lr: all shared ones, and classifiers."""
    place, _, weight = name.partition("/")
    return place == "shared" or weight.startswith(CLASSIFIER)
