"""SDPoint (Kuen et al., CVPR 2018, arXiv 1801.09335): each step trains the whole network as a randomly drawn instance.

The paper's ablations are settings: "alternate" is `system.points: [1, 3, 5]`, "075" is `model.ratios: [0.75]`.

Beyond the paper, the drawn instance can be distilled from `full` (train.distill_*), as in universally slimmable
networks (Yu & Huang 2019, arXiv 1903.05134): `full` is trained in the same step, or in steps of its own.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.config import Config, ConfigError
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import plan_network
from sdpoint.sampling import gaps, sample_instance
from sdpoint.systems.base import PASSES, Step, System, count_flops


class Lesson(NamedTuple):
    """What a step trains: an instance. teacher: whether it is distilled from `full`, or trained on the labels alone."""

    instance: Instance
    teacher: bool = False


class SDPoint(System):
    ubn = True

    def __init__(self, config: Config, classes: int) -> None:
        super().__init__(config, classes)
        self.last = last = plan_network(config.model).points
        self.points = (0, *(config.system.points or range(1, last + 1)))
        if max(self.points) > last:
            raise ConfigError(f"system.points is {list(self.points[1:])}; the network has points 1 to {last}")
        if config.system.weights and len(config.system.weights) != len(self.points):
            raise ConfigError(
                f"system.weights has {len(config.system.weights)} values; expected one for each of {list(self.points)}"
            )
        self.weights = self._weights()
        self._refuse_instances()

    @property
    def configurations(self) -> list[Instance]:
        listed = self.config.system.instances
        return [i for i in self._possible() if not listed or i == FULL or i.id in listed]

    def _possible(self) -> list[Instance]:
        """The instances of all points and ratios."""
        return [i for i in enumerate_instances(self.last, self.config.model.ratios) if i.p in self.points]

    def _refuse_instances(self) -> None:
        listed, possible = self.config.system.instances, [i.id for i in self._possible()]
        if unknown := [id for id in listed if id not in possible]:
            raise ConfigError(f"system.instances has {unknown[0]}; points and ratios give {possible}")
        if listed and (self.config.system.weights or self.config.system.sampling != "uniform"):
            raise ConfigError("system.instances are drawn uniformly; leave out system.weights and system.sampling")

    def flops(self, configuration: Instance) -> int:
        return network_flops(self.config.model, self.classes, self.config.data.size, configuration)

    @cached_property
    def shared_flops(self) -> dict[int, int]:
        """By point p, the FLOPs of a picture that `Network.fork` saves, as the layers before p run only once."""

        def saved(p: int) -> int:
            instance = Instance(p, 0.5)  # the layers before p do not see r
            alone = count_flops(lambda: self.unweighted.before(self.unseen, p))
            return 2 * alone - count_flops(lambda: self.unweighted.fork(self.unseen, instance))

        return {p: saved(p) for p in self.points if p}

    def _weights(self) -> tuple[float, ...]:
        """Relative frequency of each point; empty for a uniform distribution."""
        if self.config.system.sampling == "gap":
            ratios = self.config.model.ratios
            costs = [
                sum(self.flops(Instance(p, r) if p else FULL) for r in ratios) / len(ratios) / self.plain_flops
                for p in self.points
            ]
            return gaps(costs)
        return self.config.system.weights

    def draw(self, generator: torch.Generator, epoch: int, index: int) -> Lesson:
        train = self.config.train
        if self.config.system.instances:
            instance = self.configurations[int(torch.randint(len(self.configurations), (), generator=generator))]
        else:
            instance = sample_instance(generator, self.points, self.config.model.ratios, self.weights)
        if epoch < train.distill_from * train.epochs:
            return Lesson(instance)
        if train.distill_mode == "alternately" and index % 2 == 0:
            return Lesson(FULL)
        return Lesson(instance, teacher=instance != FULL)

    def step(self, model: nn.Module, x: Tensor, y: Tensor, drawn: Lesson) -> Step:
        """Without a teacher, the published method; with one, `together` or `alone`."""
        if drawn.teacher:
            lesson = self.together if self.config.train.distill_mode == "together" else self.alone
            return lesson(model, x, y, drawn.instance)
        logits = model(x, drawn.instance).float()
        return Step(self.cross_entropy(logits, y), logits, PASSES * self.flops(drawn.instance))

    def together(self, model: nn.Module, x: Tensor, y: Tensor, instance: Instance) -> Step:
        """Train `full` on the labels and distil the instance from it, in one step.

        The layers before p run once for both. FLOPs: three passes of both, minus three passes of the shared layers.
        """
        full, logits = (model.after(h, instance.p).float() for h in model.fork(x, instance))
        loss = 0.5 * self.cross_entropy(full, y) + 0.5 * self.pupil_loss(logits, full.detach(), y)
        flops = self.plain_flops + self.flops(instance) - self.shared_flops[instance.p]
        return Step(loss, logits, PASSES * flops)

    def alone(self, model: nn.Module, x: Tensor, y: Tensor, instance: Instance) -> Step:
        """Distil the instance from `full`, which is not trained in this step.

        FLOPs: one forward pass of `full` and three passes of the instance.
        """
        with torch.no_grad():
            full = model(x, FULL).float()
        logits = model(x, instance).float()
        loss = self.pupil_loss(logits, full, y)
        return Step(loss, logits, self.plain_flops + PASSES * self.flops(instance))

    def pupil_loss(self, logits: Tensor, teacher: Tensor, y: Tensor) -> Tensor:
        """Weighted sum of the distillation loss and the loss by labels.

        logits, teacher: logits [n, classes] float32.
        """
        t, weight = self.config.train.distill_temperature, self.config.train.distill_weight
        distilled = F.cross_entropy(logits / t, F.softmax(teacher / t, dim=1)) * t * t
        return weight * distilled + (1 - weight) * self.cross_entropy(logits, y)
