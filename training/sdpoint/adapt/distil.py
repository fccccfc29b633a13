"""Distillation on many pictures: in each step one instance learns to answer a batch of crops as the teacher does.

This is SDPoint's training (Kuen et al. 2018: an instance is drawn for each batch) with a fixed teacher in place of
labels (in-place distillation, Yu & Huang 2019, arXiv 1903.05134; here the original network teaches `full`, too). The
norm layers keep their statistics, and there is no stochastic depth. All draws depend only on the seed and the number of
the step, so that a run that was killed ends with the same weights.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdpoint.adapt.crops import Crops, requests
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.settings import Distil
from sdpoint.adapt.statistics import divergence
from sdpoint.adapt.student import Student
from sdpoint.adapt.teacher import Answers
from sdpoint.average import Average
from sdpoint.config import Config
from sdpoint.data import DataError, normalise
from sdpoint.instance import Instance
from sdpoint.precision import autocast, chosen
from sdpoint.run import Run, RunError, say, write_atomically
from sdpoint.schedule import learning_rate

STATE = "distilled.pt"  # in the run folder
LOG_SECONDS = 30  # between lines of progress and records of the loss; more often, the log of a long run grows large


@dataclass(frozen=True)
class Lesson:
    """A batch. images: [b, size, size, 3] uint8; target: the teacher's logits, [b, classes]; instance: who learns."""

    images: Tensor
    target: Tensor
    instance: Instance


@dataclass
class Window:
    """What happened since the last record. losses: instance id -> losses of its steps."""

    began: float = field(default_factory=time.monotonic)
    paused: float = 0.0  # by the pause's count at its beginning
    steps: int = 0
    losses: dict[str, list[float]] = field(default_factory=dict)


class Distillation:
    """A distillation that can be saved and resumed."""

    def __init__(self, student: Student, crops: Crops, config: Config, distil: Distil) -> None:
        """Raises DataError if the pictures do not fill a batch."""
        self.student, self.crops, self.config, self.distil = student, crops, config, distil
        if len(crops) < config.train.batch:
            raise DataError(f"{len(crops)} pictures do not fill a batch of {config.train.batch} (train.batch)")
        self.device = next(iter(student.shared.values())).device
        self.precision = chosen(config.train.precision, self.device)
        self.optimizer = student.optimizer(config.train, distil)
        decay = config.train.average
        self.average = Average(student.tensors(), decay) if decay else None
        self.steps_done, self.seconds = 0, 0.0

    def instance(self, step: int) -> Instance:
        """The instance of a step: each once, in a random order, then again in another one."""
        drawn = self.student.trained
        cycle, place = divmod(step, len(drawn))
        return random.Random(f"{self.config.train.seed}/{cycle}").sample(drawn, len(drawn))[place]

    def lessons(self, answers: Answers, teacher: Callable[[Tensor], Tensor]) -> Iterator[Lesson]:
        """The remaining steps' batches."""
        train, distil = self.config.train, self.distil
        asked = list(requests(len(self.crops), train.batch, distil.crop_sets, train.seed, self.steps_left))
        # On a CPU the network's threads use every core: worker processes would only make them wait for each other.
        workers = 0 if self.device.type == "cpu" else self.config.data.workers
        read = self.crops.read(iter(asked), workers)
        for step, request, images in zip(self.steps_left, asked, read, strict=True):
            target = answers.of(request.number, request.rows, lambda images=images: teacher(images))
            yield Lesson(images, target, self.instance(step))

    @property
    def steps_left(self) -> range:
        return range(self.steps_done, self.distil.steps)

    def step(self, lesson: Lesson) -> float:
        """One step of the optimizer. Returns the mean divergence from the teacher, in nats.

        Raises FloatingPointError if it is not finite.
        """
        rate = learning_rate(self.config.train.epochs * self.steps_done / self.distil.steps, self.config.train)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate / self.config.train.lr
        x, target = normalise(lesson.images.to(self.device), self.config.data), lesson.target.to(self.device)
        with autocast(self.precision, self.device):
            logits = self.student.logits(x, lesson.instance)
        loss = divergence(logits.float(), target, self.distil.temperature)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if not math.isfinite(value := loss.item()):
            raise FloatingPointError(
                f"{lesson.instance.id}: loss is {value} at step {self.steps_done}: lower train.lr or distil.shared_lr"
            )
        if self.average:
            self.average.update(self.student.tensors(), self.steps_done)
        self.steps_done += 1
        return value

    @property
    def values(self) -> dict[str, Tensor]:
        """The tensors that the distillation results in: averaged ones, if there is an average."""
        return self.average.values if self.average else self.student.tensors()

    def save(self, path: Path, asked: dict[str, Any]) -> None:
        """asked: what the run depends on; `load` refuses a file of another one."""
        content = {
            "asked": asked,
            "steps": self.steps_done,
            "seconds": self.seconds,
            "tensors": {name: value.detach() for name, value in self.student.tensors().items()},
            "average": self.average and self.average.values,
            "optimizer": self.optimizer.state_dict(),
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def load(self, path: Path, asked: dict[str, Any]) -> None:
        """Raises RunError if the file is of a run that was asked for otherwise."""
        content = torch.load(path, weights_only=True, map_location=self.device)
        if different := [key for key in asked if content["asked"].get(key) != asked[key]]:
            raise RunError(f"{path} is of another distillation ({', '.join(different)} differ); choose another folder")
        self.student.load(content["tensors"])
        if self.average:
            self.average.load_state_dict(content["average"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.steps_done, self.seconds = content["steps"], content["seconds"]


def distil_all(
    work: Distillation,
    answers: Answers,
    teacher: Callable[[Tensor], Tensor],
    run: Run,
    asked: dict[str, Any],
    pause: Pause,
    look: Callable[[dict[str, Tensor]], dict[str, Any]],
) -> None:
    """Do all steps, from the last checkpoint on; saves `distilled.pt`.

    look: measures values of the trained tensors on held-out pictures; its figures are logged. Raises RunError if the
    run folder holds another distillation.
    """
    path, config = run.folder / STATE, work.config
    if path.exists():
        work.load(path, asked)
        say(f"resumed after step {work.steps_done} of {work.distil.steps}")
    saved = began = time.monotonic()
    before, waited = work.seconds, pause.seconds
    window = Window(paused=pause.seconds)

    def save() -> None:
        nonlocal saved
        work.seconds = before + time.monotonic() - began - (pause.seconds - waited)
        work.save(path, asked)
        saved = time.monotonic()

    for lesson in work.lessons(answers, teacher):
        loss = work.step(lesson)
        window.steps += 1
        window.losses.setdefault(lesson.instance.id, []).append(loss)
        last = work.steps_done == work.distil.steps
        if last or time.monotonic() - window.began > LOG_SECONDS:
            _report(work, window, pause, run)
            window = Window(paused=pause.seconds)
        if not last and work.distil.look_every and work.steps_done % work.distil.look_every == 0:
            run.log("held-out", step=work.steps_done, **look(work.values))
        if 0 < config.train.checkpoint_minutes * 60 <= time.monotonic() - saved:
            save()
        pause.wait(before=save)
    save()


def _report(work: Distillation, window: Window, pause: Pause, run: Run) -> None:
    """Log the window and print it, with the time left."""
    seconds = max(time.monotonic() - window.began - (pause.seconds - window.paused), 1e-9)
    left = seconds / window.steps * len(work.steps_left)
    losses = {id: round(sum(values) / len(values), 4) for id, values in sorted(window.losses.items())}
    rate = round(window.steps * work.config.train.batch / seconds, 2)
    run.log("distil", step=work.steps_done, loss=losses, picturesPerSecond=rate, hoursLeft=round(left / 3600, 2))
    shown = ", ".join(f"{id} {value:.3f}" for id, value in losses.items())
    say(f"step {work.steps_done}/{work.distil.steps}, {rate:g} pictures/s, {_clock(left)} left; divergence: {shown}")


def _clock(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"
