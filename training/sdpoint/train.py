"""The training loop: each step draws an instance, and the whole network is trained with the ordinary loss."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from sdpoint.calibrate import calibrate
from sdpoint.config import Config, TrainConfig
from sdpoint.data import Augmenter, Split
from sdpoint.downsample import downsample
from sdpoint.evaluate import evaluate
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import build_model
from sdpoint.models.wrn import WideResNet
from sdpoint.run import Run, commit, say, versions, write_atomically
from sdpoint.sampling import sample_instance

EVALUATE_EVERY = 10  # epochs; a rough look at held-out accuracy, with few pictures for the statistics
ROUGH_CALIBRATION = 2_000


def learning_rate(progress: float, train: TrainConfig) -> float:
    """One cycle: from a tenth of the peak up a line over the warm-up share, then a half cosine to 0; progress < 1."""
    if progress < train.warmup:
        return train.lr * (0.1 + 0.9 * progress / train.warmup)
    return train.lr * 0.5 * (1 + math.cos(math.pi * (progress - train.warmup) / (1 - train.warmup)))


def plain_loss(
    model: WideResNet, x: Tensor, y: Tensor, instance: Instance, train: TrainConfig
) -> tuple[Tensor, Tensor]:
    """(loss, logits of the instance): the method as published."""
    logits = model(x, instance).float()
    return F.cross_entropy(logits, y, label_smoothing=train.label_smoothing), logits


def distilling_loss(
    model: WideResNet, x: Tensor, y: Tensor, instance: Instance, train: TrainConfig
) -> tuple[Tensor, Tensor]:
    """(loss, logits of the instance): `full` learns from the labels and teaches the drawn instance in the same step.

    In-place distillation as in universally slimmable networks (Yu & Huang 2019, arXiv 1903.05134). Both share
    the layers before p, which therefore run once.
    """
    h = model.before(x, instance.p)
    full = model.after(h, instance.p).float()
    taught = F.cross_entropy(full, y, label_smoothing=train.label_smoothing)
    if instance == FULL:
        return taught, full
    logits = model.after(downsample(h, instance.r), instance.p).float()
    t = train.distill_temperature
    target = F.softmax(full.detach() / t, dim=1)
    distilled = F.cross_entropy(logits / t, target) * t * t
    hard = F.cross_entropy(logits, y, label_smoothing=train.label_smoothing)
    return 0.5 * taught + 0.5 * (train.distill_weight * distilled + (1 - train.distill_weight) * hard), logits


@dataclass
class State:
    """All that a resumed run needs to go on as if it had never stopped."""

    model: WideResNet
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    seconds: float = 0.0

    def save(self, path: Path, config: Config, classes: tuple[str, ...]) -> None:
        content = {
            "config": config.as_dict(),
            "classes": classes,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "epoch": self.epoch,
            "seconds": self.seconds,
        }
        write_atomically(path, lambda temporary: torch.save(content, temporary))

    def load(self, path: Path) -> None:
        content = torch.load(path, weights_only=True)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generator"])
        self.epoch, self.seconds = content["epoch"], content["seconds"]


def train(config: Config, part: Split, held_out: Split, run: Run, resume: bool) -> WideResNet:
    """Train on `part`; `held_out` is only looked at. Raises FileExistsError if the run has begun and resume is off."""
    checkpoint, settings = run.folder / "checkpoint.pt", config.train
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{checkpoint} exists; pass --resume to go on, or choose another run folder")
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model = build_model(config.model, len(part.classes))
    decay = settings.weight_decay
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.lr, momentum=settings.momentum, nesterov=True, weight_decay=decay
    )
    state = State(model, optimizer, torch.Generator().manual_seed(settings.seed))
    if checkpoint.exists():
        state.load(checkpoint)
        say(f"resumed after epoch {state.epoch}")
    run.save_config(config)
    run.log("start", epoch=state.epoch, commit=commit(), versions=versions(), pictures=len(part))
    augment = Augmenter(part, config.data, settings.pad, settings.cutout, state.generator)
    while state.epoch < settings.epochs:
        began = time.perf_counter()
        figures = _epoch(state, augment, part, config)
        state.epoch += 1
        state.seconds += time.perf_counter() - began
        state.save(checkpoint, config, part.classes)
        run.log("epoch", epoch=state.epoch, seconds=round(time.perf_counter() - began, 1), **figures)
        say(f"epoch {state.epoch}/{settings.epochs}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        if len(held_out) and (state.epoch % EVALUATE_EVERY == 0 or state.epoch == settings.epochs):
            _look(model, config, part, held_out, run, state.epoch)
    return model


def _epoch(state: State, augment: Augmenter, part: Split, config: Config) -> dict[str, float]:
    settings, model = config.train, state.model
    steps = len(part) // settings.batch
    order = torch.randperm(len(part), generator=state.generator)[: steps * settings.batch]
    distil = state.epoch >= settings.distill_from * settings.epochs
    loss_of = distilling_loss if distil else plain_loss
    model.train()
    total = correct = 0.0
    for step, index in enumerate(tqdm(order.split(settings.batch), desc=f"epoch {state.epoch + 1}", disable=None)):
        rate = learning_rate((state.epoch + step / steps) / settings.epochs, settings)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        instance = sample_instance(state.generator, model.points, config.model.ratios)
        x, y = augment(index), part.labels[index]
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            loss, logits = loss_of(model, x, y, instance, settings)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        state.optimizer.step()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at epoch {state.epoch + 1}, step {step}: lower train.lr")
        total += loss.item()
        correct += (logits.argmax(1) == y).sum().item()
    return {"loss": total / steps, "top1": correct / (steps * settings.batch), "lr": rate, "distil": float(distil)}


def _look(model: WideResNet, config: Config, part: Split, held_out: Split, run: Run, epoch: int) -> None:
    instances = enumerate_instances(model.points, config.model.ratios)
    statistics = calibrate(model, instances, part.images[:: max(1, len(part) // ROUGH_CALIBRATION)], config.data)
    top1 = {id: a.top1 for id, a in evaluate(model, instances, statistics, held_out, config.data).items()}
    run.log("held-out", epoch=epoch, top1=top1)
    say("held-out, rough: " + ", ".join(f"{id} {a:.4f}" for id, a in top1.items()))
