"""The training loop. It is the same for every system; what a training step computes is in sdpoint/systems/."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sdpoint.average import Average
from sdpoint.calibrate import calibrate
from sdpoint.config import Config, TrainConfig
from sdpoint.data import Split, in_memory
from sdpoint.distributed import Processes, joined
from sdpoint.evaluate import evaluate
from sdpoint.loader import Batch, Loader
from sdpoint.precision import autocast, chosen
from sdpoint.run import Run, commit, device_name, say, versions
from sdpoint.schedule import learning_rate
from sdpoint.state import State, UnderWay
from sdpoint.systems import build_system
from sdpoint.systems.base import Step, System

ROUGH_CALIBRATION = 2_000  # pictures for the statistics of a rough evaluation
READ_EVERY = 20  # steps between readings of the loss; each reading waits for the GPU and the other processes


class Lesson(nn.Module):
    """A system's step as a module.

    DistributedDataParallel averages the gradients of what `forward` computes, and a step may call more than the
    model's `forward`.
    """

    def __init__(self, system: System, model: nn.Module) -> None:
        super().__init__()
        self.system, self.model = system, model

    def forward(self, x: Tensor, y: Tensor, drawn: Any) -> Step:
        return self.system.step(self.model, x, y, drawn)


class Training:
    """A training run: the objects that the configuration determines, and the state that changes."""

    def __init__(self, config: Config, part: Split, processes: Processes) -> None:
        """Start with a new network. part: the pictures to train on.

        Raises ConfigError if the system does not fit the network, DataError if the pictures do not fill a batch.
        """
        self.settings, self.processes = config.train, processes
        self.precision = chosen(config.train.precision, processes.device)
        torch.set_num_threads(self.settings.threads)
        torch.manual_seed(self.settings.seed)
        self.system = build_system(config, len(part.classes))
        self.state = self._state(self.system.build().to(processes.device))
        self.lesson = processes.averaging(Lesson(self.system, self.state.model))
        self.loader = Loader(part, self.system, processes)

    def _state(self, model: nn.Module) -> State:
        settings, device = self.settings, self.processes.device
        if device.type == "cuda":
            model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
        )
        average = Average(model.state_dict(), settings.average) if settings.average else None
        scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
        return State(model, optimizer, torch.Generator().manual_seed(settings.seed), average, scaler)

    def step(self, batch: Batch, rate: float) -> Step:
        """One optimizer step. rate: the learning rate."""
        state = self.state
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        with autocast(self.precision, self.processes.device):
            step = self.lesson(batch.x, batch.y, batch.drawn)
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(step.loss).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        return step

    def epoch(self, save: Callable[[], None]) -> dict[str, float]:
        """Train the rest of the epoch under way, or a whole one. Returns its mean loss, top-1, learning rate and FLOPs.

        save: called every train.checkpoint_minutes. Raises FloatingPointError if the loss is not finite.
        """
        state, settings, steps = self.state, self.settings, self.loader.steps
        state.under_way = done = state.under_way or UnderWay(state.generator.get_state())
        sums = torch.zeros(2, dtype=torch.float64, device=self.processes.device)  # of the loss, of right answers
        if self.processes.leads:
            sums += sums.new_tensor([done.loss, done.correct])
        state.model.train()
        read = saved = time.perf_counter()
        batches, quiet = self.loader.batches(state), None if self.processes.leads else True
        for batch in tqdm(batches, f"epoch {state.epoch + 1}", initial=done.steps, total=steps, disable=quiet):
            rate = learning_rate(state.epoch + done.steps / steps, settings)
            loss, logits, flops = self.step(batch, rate)
            if state.average:
                state.average.update(state.model.state_dict(), state.epoch * steps + done.steps)
            sums += torch.stack([loss.detach().double(), (logits.argmax(1) == batch.y).sum().double()])
            done.flops += flops * settings.batch
            done.steps += 1
            state.generator.set_state(batch.chance)
            if done.steps % READ_EVERY and done.steps < steps:
                continue
            done.loss, done.correct = self.processes.total(sums).tolist()
            if not math.isfinite(done.loss):
                where = f"in epoch {state.epoch + 1}, by step {done.steps}"
                raise FloatingPointError(f"loss is {done.loss} {where}: lower train.lr")
            now = time.perf_counter()
            state.seconds, read = state.seconds + now - read, now
            if done.steps < steps and 0 < settings.checkpoint_minutes * 60 <= now - saved:
                save()
                saved = now
        state.epoch, state.under_way, state.flops = state.epoch + 1, None, state.flops + done.flops
        mean = done.loss / (steps * self.processes.count)
        return {"loss": mean, "top1": done.correct / (steps * settings.batch), "lr": rate, "flops": done.flops}


def train(config: Config, part: Split, held_out: Split, run: Run, resume: bool) -> nn.Module:
    """Train on `part` and return the network; `held_out` is only used for rough evaluations.

    If torchrun started several processes, each of them calls this. resume: continue from the checkpoint of the run.
    Raises FileExistsError if there is a checkpoint and resume is off; ConfigError if the batch does not fit the number
    of processes, or if the device is not available.
    """
    checkpoint = run.folder / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise FileExistsError(f"{checkpoint} exists; pass --resume to go on, or choose another run folder")
    with joined(config.train.device, config.train.batch) as processes:
        training = Training(config, part, processes)
        if checkpoint.exists():
            training.state.load(checkpoint)
        if training.state.epoch < config.train.epochs:  # a finished run gets no further `start` record
            _go_on(training, config, part, held_out, run)
        return training.state.result()


def _go_on(training: Training, config: Config, part: Split, held_out: Split, run: Run) -> None:
    """Train to the last epoch. Only the leading process writes checkpoints and the log, and evaluates."""
    state, epochs, leads = training.state, config.train.epochs, training.processes.leads

    def save() -> None:
        if leads:
            state.save(run.folder / "checkpoint.pt", config, part.classes)

    if state.epoch or state.under_way:
        say(f"resumed after epoch {state.epoch}" + (f", step {state.under_way.steps}" if state.under_way else ""))
    if leads:
        run.save_config(config)
        how = {"device": device_name(training.processes.device), "precision": training.precision}
        run.log("start", epoch=state.epoch, commit=commit(), versions=versions(), pictures=len(part), **how)
    while state.epoch < epochs:
        began = time.perf_counter()
        figures = training.epoch(save)
        save()
        say(f"epoch {state.epoch}/{epochs}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
        if leads:
            run.log("epoch", epoch=state.epoch, seconds=round(time.perf_counter() - began, 1), **figures)
            if _looks(state.epoch, config.train) and len(held_out):
                _look(state, training.system, part, held_out, run)


def _looks(epoch: int, settings: TrainConfig) -> bool:
    """Whether to evaluate on held-out pictures after this epoch: every `look_every` epochs, and after the last one."""
    return settings.look_every > 0 and (epoch % settings.look_every == 0 or epoch == settings.epochs)


def _look(state: State, system: System, part: Split, held_out: Split, run: Run) -> None:
    """Log the accuracy on held-out pictures; it is rough because few pictures are used for the statistics."""
    model, data = state.result(), system.config.data
    pictures = in_memory(part.images[:: max(1, len(part) // ROUGH_CALIBRATION)])
    statistics = calibrate(model, system.configurations, pictures, data)
    top1 = {id: a.top1 for id, a in evaluate(model, system.configurations, statistics, held_out, data).items()}
    run.log("held-out", epoch=state.epoch, top1=top1)
    say("held-out, rough: " + ", ".join(f"{id} {a:.4f}" for id, a in top1.items()))
