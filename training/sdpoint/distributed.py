"""Several processes that train one network: `torchrun` starts them, and gradients are averaged over them.

Each keeps a copy of the network and takes an equal share of every batch. All hold the same generator, so all train the
same instance in a step. Norm layers normalise each process's share by itself, as in the paper's training on several
GPUs; the leading process's running averages are the ones kept.
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

PATIENCE = timedelta(hours=6)  # the others wait while the leading process looks at held-out pictures


@dataclass(frozen=True)
class Processes:
    """This process is number `rank` of `count`, and has a device of its own."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """The one that logs, saves and evaluates."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """[b, ...] of all -> [b / count, ...] of this one."""
        return batch.chunk(self.count)[self.rank]

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes, which must all ask for it at the same time."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def averaging(self, module: nn.Module) -> nn.Module:
        """The module, with gradients averaged over processes. Parameters that a step does not use keep none."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=True, forward_sync_buffers=False)


def device_of(name: str) -> torch.device:
    """Raises ConfigError if this machine does not have it: there is no silent change to another."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("the device is cuda, but PyTorch finds none here; ask for cpu (train.device, --device)")
    return torch.device(name)


@contextmanager
def joined(device: str, batch: int) -> Iterator[Processes]:
    """Those that torchrun started, connected; or this process alone. Raises ConfigError.

    batch: pictures of all processes together.
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
