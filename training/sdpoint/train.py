"""The training loop, the same for every system: what a step teaches is the system's own (sdpoint/systems/)."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from sdpoint.average import Average
from sdpoint.calibrate import calibrate
from sdpoint.config import Config, TrainConfig
from sdpoint.data import Augmenter, Split
from sdpoint.evaluate import evaluate
from sdpoint.run import Run, commit, say, versions, write_atomically
from sdpoint.systems import build_system
from sdpoint.systems.base import System

ROUGH_CALIBRATION = 2_000  # pictures


def learning_rate(progress: float, train: TrainConfig) -> float:
    """One cycle: from a tenth of the peak up a line over the warm-up share, then a half cosine to 0; progress < 1."""
    if progress < train.warmup:
        return train.lr * (0.1 + 0.9 * progress / train.warmup)
    return train.lr * 0.5 * (1 + math.cos(math.pi * (progress - train.warmup) / (1 - train.warmup)))


@dataclass
class State:
    """All that a resumed run needs to go on as if it had never stopped."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    average: Average | None = None
    epoch: int = 0
    seconds: float = 0.0
    flops: int = 0  # spent so far, backward passes included

    def save(self, path: Path, config: Config, classes: tuple[str, ...]) -> None:
        content = {
            "config": config.as_dict(),
            "classes": classes,
            "model": self.model.state_dict(),
            "average": self.average and self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "flops": self.flops,
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def load(self, path: Path) -> None:
        content = torch.load(path, weights_only=True)
        self.model.load_state_dict(content["model"])
        if self.average:
            self.average.load_state_dict(content.get("average") or copy.deepcopy(content["model"]))
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        self.epoch, self.seconds, self.flops = content["epoch"], content["seconds"], content.get("flops", 0)

    def result(self) -> nn.Module:
        """The network that the run gives: with averaged weights, if they are averaged."""
        if not self.average:
            return self.model
        model = copy.deepcopy(self.model)
        model.load_state_dict(self.average.state_dict())
        return model


def train(config: Config, part: Split, held_out: Split, run: Run, resume: bool) -> nn.Module:
    """Train on `part`; `held_out` is only looked at. Raises FileExistsError if the run has begun and resume is off."""
    checkpoint, settings = run.folder / "checkpoint.pt", config.train
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{checkpoint} exists; pass --resume to go on, or choose another run folder")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    system = build_system(config, len(part.classes))
    model = system.build()
    decay = settings.weight_decay
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.lr, momentum=settings.momentum, nesterov=True, weight_decay=decay
    )
    average = Average(model, settings.average) if settings.average else None
    state = State(model, optimizer, torch.Generator().manual_seed(settings.seed), average)
    if checkpoint.exists():
        state.load(checkpoint)
        say(f"resumed after epoch {state.epoch}")
        if state.epoch >= settings.epochs:
            return state.result()  # the log names what trained it, not what finds it finished
    run.save_config(config)
    run.log("start", epoch=state.epoch, commit=commit(), versions=versions(), pictures=len(part))
    augment = Augmenter(part, config.data, settings.pad, settings.cutout, state.generator)
    while state.epoch < settings.epochs:
        began = time.perf_counter()
        figures = _epoch(state, system, augment, part)
        state.epoch += 1
        state.seconds += time.perf_counter() - began
        state.save(checkpoint, config, part.classes)
        run.log("epoch", epoch=state.epoch, seconds=round(time.perf_counter() - began, 1), **figures)
        say(f"epoch {state.epoch}/{settings.epochs}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        if _looks(state.epoch, settings) and len(held_out):
            _look(state, system, part, held_out, run)
    return state.result()


def _looks(epoch: int, settings: TrainConfig) -> bool:
    """Every so many epochs, and at the end."""
    return settings.look_every > 0 and (epoch % settings.look_every == 0 or epoch == settings.epochs)


def _epoch(state: State, system: System, augment: Augmenter, part: Split) -> dict[str, float]:
    settings, model = system.config.train, state.model
    steps = len(part) // settings.batch
    order = torch.randperm(len(part), generator=state.generator)[: steps * settings.batch]
    model.train()
    total = correct = spent = 0
    for index, pictures in enumerate(tqdm(order.split(settings.batch), desc=f"epoch {state.epoch + 1}", disable=None)):
        rate = learning_rate((state.epoch + index / steps) / settings.epochs, settings)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        drawn = system.draw(state.generator, state.epoch, index)
        x, y = augment(pictures), part.labels[pictures]
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            loss, logits, flops = system.step(model, x, y, drawn)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at epoch {state.epoch + 1}, step {index}: lower train.lr")
        if state.average:
            state.average.update(model, state.epoch * steps + index)
        total += loss.item()
        correct += (logits.argmax(1) == y).sum().item()
        spent += flops * len(pictures)
    state.flops += spent
    return {"loss": total / steps, "top1": correct / (steps * settings.batch), "lr": rate, "flops": spent}


def _look(state: State, system: System, part: Split, held_out: Split, run: Run) -> None:
    model, data = state.result(), system.config.data
    pictures = part.images[:: max(1, len(part) // ROUGH_CALIBRATION)]
    statistics = calibrate(model, system.configurations, pictures, data)
    top1 = {id: a.top1 for id, a in evaluate(model, system.configurations, statistics, held_out, data).items()}
    run.log("held-out", epoch=state.epoch, top1=top1)
    say("held-out, rough: " + ", ".join(f"{id} {a:.4f}" for id, a in top1.items()))
