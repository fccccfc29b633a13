"""`sdpoint train --resume`, for tests of several processes and of kills: python processes.py CONFIG DATA RUN

With KILL_AT=n in the environment, the process of the highest rank kills itself (SIGKILL) before its n-th step.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import sdpoint.train
from sdpoint.config import load_config
from sdpoint.data import load_training
from sdpoint.run import Run
from sdpoint.systems.base import System
from sdpoint.train import Training, train


def fixed_norm(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Batch norm by its running statistics, also in training, so that results do not depend on the batch."""
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def with_unused(build):
    """Give every network a parameter that no step uses."""

    def built(system: System) -> nn.Module:
        model = build(system)
        model.unused = nn.Parameter(torch.ones(3))
        return model

    return built


def killed_at(count: int, step):
    steps = 0

    def counted(training: Training, *args):
        nonlocal steps
        steps += 1
        if steps == count and training.processes.rank == training.processes.count - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(training, *args)

    return counted


if __name__ == "__main__":
    if "WORLD_SIZE" in os.environ:
        nn.BatchNorm2d.forward = fixed_norm
        System.build = with_unused(System.build)
    sdpoint.train.READ_EVERY = 2
    if "KILL_AT" in os.environ:
        Training.step = killed_at(int(os.environ["KILL_AT"]), Training.step)
    config, data, run = map(Path, sys.argv[1:])
    settings = load_config(config)
    train(settings, *load_training(data, settings.data), Run(run), resume=True)
