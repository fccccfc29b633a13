"""Measures instances of an adapted network on held-out pictures: agreement with the original network, top-1.

What belongs to the original network is measured once and kept in the cache folder, for all runs that ask for the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sdpoint.adapt.effect import counted
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.statistics import divergence
from sdpoint.calibrate import Statistics
from sdpoint.config import DataConfig
from sdpoint.data import Split, normalise
from sdpoint.evaluate import accuracy_of
from sdpoint.instance import Instance
from sdpoint.precision import autocast
from sdpoint.run import progress, write_atomically

Row = dict[str, Any]
AT_ONCE = 16  # pictures in a forward pass, and between looks whether to pause; PyTorch is slower on fewer at one thread


@dataclass(frozen=True)
class Exam:
    """images: held-out pictures [n, size, size, 3] uint8; answers: logits of the original network, [n, classes].

    labelled: pictures to measure top-1 on, or None; precision: number type of forward passes, as `chosen` returns it.
    """

    images: Tensor
    answers: Tensor
    labelled: Split | None
    data: DataConfig
    precision: str
    pause: Pause

    def first(self, count: int) -> Exam:
        """The exam with fewer pictures and without labelled ones, for a look while training."""
        return replace(self, images=self.images[:count], answers=self.answers[:count], labelled=None)

    def row(self, model: nn.Module, instance: Instance, own: Statistics) -> Row:
        """Agreement of an instance with the original network (the share of equal answers), divergence, and top-1."""
        logits = self.logits(model, instance, own, self.images)
        same = int((logits.argmax(1) == self.answers.argmax(1)).sum())
        row: Row = {
            "agreement": counted(same, len(logits)),
            "divergence": round(divergence(logits, self.answers).item(), 4),
        }
        if self.labelled is not None:
            accuracy = accuracy_of(self.logits(model, instance, own, self.labelled.images), self.labelled.labels)
            row["top1"] = counted(accuracy.correct, accuracy.n)
        return row

    def rows(self, model: nn.Module, instances: Sequence[Instance], own: Mapping[str, Statistics]) -> dict[str, Row]:
        """A row for each instance, by id."""
        return {i.id: self.row(model, i, own[i.id]) for i in progress(instances, "measured")}

    def logits(self, model: nn.Module, instance: Instance, own: Statistics, images: Tensor) -> Tensor:
        return logits_at(self.precision, model, instance, own, images, self.data, self.pause)


@torch.no_grad()
def logits_at(
    precision: str,
    model: nn.Module,
    instance: Instance,
    own: Statistics,
    images: Tensor,
    data: DataConfig,
    pause: Pause,
) -> Tensor:
    """Logits [n, classes] float32 on the CPU, as `logits_of`, but with a number type as in training, and with pauses.

    images: [n, size, size, 3] uint8, n >= 1.
    """
    device, parts = next(model.parameters()).device, []
    there = {name: value.to(device) for name, value in own.items()}
    for batch in images.split(AT_ONCE):
        pause.wait()
        x = normalise(batch.to(device), data)
        with autocast(precision, device):
            parts.append(functional_call(model, there, (x, instance)).float().cpu())
    return torch.cat(parts)


def kept(folder: Path, kind: str, asked: dict[str, Any], compute: Callable[[], Any]) -> Any:
    """The result of `compute`, kept in the cache folder by all that it depends on."""
    text = json.dumps(asked, sort_keys=True)
    path = folder / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"
    if path.exists():
        return torch.load(path, weights_only=True)
    result = compute()
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: torch.save(result, temporary))
    return result
