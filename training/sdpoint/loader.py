"""The batches of an epoch: pictures, labels and random draws.

All random draws come from one generator, in the order of the batches, whichever process or worker prepares a batch.
Each batch carries the generator's state after its draws; a resumed run continues from that state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sdpoint.augment import Augmenter, Draws, PhotoAugmenter
from sdpoint.data import DataError, Split
from sdpoint.distributed import Processes
from sdpoint.state import State
from sdpoint.stream import PictureFiles
from sdpoint.systems.base import System


class Batch(NamedTuple):
    """This process's share of a batch. x: [b, 3, size, size] float32, normalised; y: [b] int64, labels.

    drawn: argument for `System.step`; chance: state of the generator after the draws for this batch.
    """

    x: Tensor
    y: Tensor
    drawn: Any
    chance: Tensor


class Plan(NamedTuple):
    """A batch before its pictures are read.

    index: [b] int64, pictures of the training part; draws: for the augmenter; drawn, chance: as in
    `Batch`.
    """

    index: Tensor
    draws: Draws
    drawn: Any
    chance: Tensor


class Loader:
    def __init__(self, part: Split, system: System, processes: Processes) -> None:
        """part: the pictures to train on. Raises DataError if they do not fill a batch."""
        self.labels, self.system, self.processes = part.labels, system, processes
        self.batch = system.config.train.batch
        self.steps = len(part) // self.batch  # steps of an epoch; the pictures left over differ from epoch to epoch
        if not self.steps:
            raise DataError(f"{len(part)} pictures to train on do not fill a batch of {self.batch} (train.batch)")
        train = system.config.train
        if isinstance(part.images, PictureFiles):
            self.augment = PhotoAugmenter(part.images, system.config.data, train.crop_least)
        else:
            self.augment = Augmenter(part.images.to(processes.device), system.config.data, train.pad, train.cutout)

    def batches(self, state: State) -> Iterator[Batch]:
        """Yield the remaining batches of the epoch under way. The generator of `state` is not changed."""
        device, waiting = self.processes.device, deque[Plan]()

        def requests() -> Iterator[tuple[Tensor, Draws]]:
            for plan in self._plans(state.epoch, state.under_way.steps, state.under_way.began, chance):
                waiting.append(plan)
                yield plan.index, plan.draws

        chance = state.generator.get_state()
        for x in self.augment.batches(requests()):
            plan = waiting.popleft()
            y = self.labels[plan.index]
            yield Batch(x.to(device, non_blocking=True), y.to(device, non_blocking=True), plan.drawn, plan.chance)

    def _plans(self, epoch: int, first: int, began: Tensor, chance: Tensor) -> Iterator[Plan]:
        """Yield the plans from step `first` on.

        began, chance: the generator's states at the epoch's start and before that step.
        """
        share, generator = self.processes.share, torch.Generator()
        generator.set_state(began)
        order = torch.randperm(len(self.labels), generator=generator)[: self.steps * self.batch]
        if first:
            generator.set_state(chance)
        for step, index in list(enumerate(order.split(self.batch)))[first:]:
            drawn = self.system.draw(generator, epoch, step)
            draws = tuple(map(share, self.augment.draw(len(index), generator)))
            yield Plan(share(index), draws, drawn, generator.get_state())
