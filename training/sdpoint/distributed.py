"""Distributed training: several processes, started by `torchrun`, train one network and average their gradients.

Each process has a copy of the network and gets an equal share of every batch. All have a random generator in the same
state, so all train the same instance in a step. Norm layers use the statistics of the process's own share of the batch,
as in the paper's training on several GPUs. The running averages of process 0 are saved.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sdpoint.config import ConfigError

PATIENCE = timedelta(hours=6)  # the other processes wait while process 0 evaluates on held-out pictures


@dataclass(frozen=True)
class Processes:
    """The processes that train together: this one is number `rank` of `count` and uses `device`."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process is the leading one (rank 0), which logs, saves and evaluates."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """The share of this process: [b, ...] -> [b / count, ...]."""
        return batch.chunk(self.count)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes. Every process must call this at the same point."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def averaging(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that gradients are averaged over processes.

        Parameters that a step does not use get no gradient.
        """
        if self.count == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=True, forward_sync_buffers=False)


def device_of(name: str) -> torch.device:
    """The device with this name. Raises ConfigError if it is not available; there is no silent fallback to the CPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the device is cuda, but PyTorch finds none here; ask for cpu (train.device, --device)")
    return torch.device(name)


@contextmanager
def joined(device: str, batch: int) -> Iterator[Processes]:
    """Connect the processes that torchrun started; without torchrun, yield this process alone.

    device: cpu or cuda; batch: pictures in a batch of all processes together. Raises ConfigError if the batch is not a
    multiple of the number of processes, or if the device is not available.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if batch % count:
        raise ConfigError(f"train.batch is {batch}; expected a multiple of the {count} processes")
    own = device_of(device)
    if count == 1:
        yield Processes(device=own)
        return
    if own.type == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if own.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), count, own)
    finally:
        dist.destroy_process_group()
