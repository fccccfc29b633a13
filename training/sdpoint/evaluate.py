"""Accuracy of configurations (such as instances) on a part of the data, each with its own batch-norm statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sdpoint.calibrate import Statistics
from sdpoint.checkpoint import Trained
from sdpoint.config import DataConfig
from sdpoint.data import Split, load_split, normalise
from sdpoint.interval import interval
from sdpoint.run import Run, progress

PIXELS = 250 * 32 * 32  # pixels in a batch: feature maps of larger batches would not fit into the CPU's caches


def batch_of(size: int) -> int:
    """Number of pictures of size x size in a batch."""
    return max(1, PIXELS // size**2)


@dataclass(frozen=True)
class Accuracy:
    """Right answers for n pictures: correct if the label is first; correct5 if it is among the first five."""

    correct: int
    correct5: int
    n: int

    @property
    def top1(self) -> float:
        return self.correct / self.n

    @property
    def top5(self) -> float:
        return self.correct5 / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of top1 (Wilson), as fractions."""
        return interval(self.correct, self.n)


def open_test(root: Path, trained: Trained, run: Run, by: str) -> Split:
    """Read the test part and log that in the run folder. All uses of the test part go through this function.

    The number of such records is published in the model card. by: the command that reads it. Raises DataError.
    """
    split = load_split(root, "test", trained.config.data).expect_classes(trained.classes)
    run.log("test-opened", by=by, weights=trained.digest, pictures=len(split))
    return split


def mean_flops(trained: Trained, statistics: dict[str, Statistics], images: Tensor) -> dict[str, int]:
    """Mean FLOPs of one picture by configuration id. Some systems spend more on some pictures than on others."""
    return {c.id: trained.system.mean_flops(trained.model, c, statistics[c.id], images) for c in trained.instances}


@torch.no_grad()
def logits_of(model: nn.Module, configuration: Any, statistics: Statistics, images: Tensor, data: DataConfig) -> Tensor:
    """Logits [n, classes] float32 of images [n, h, w, 3] uint8, on the CPU.

    The model must be in eval mode. It is not changed: the statistics are used for this call only.
    """
    device, count = next(model.parameters()).device, batch_of(data.size)
    own = {name: value.to(device) for name, value in statistics.items()}
    batches = (normalise(batch.to(device), data) for batch in images.split(count))
    return torch.cat([functional_call(model, own, (batch, configuration)).cpu() for batch in batches])


def accuracy_of(logits: Tensor, labels: Tensor) -> Accuracy:
    """Count the right answers. logits: [n, classes]; labels: [n] int64."""
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hit = best == labels[:, None]
    return Accuracy(int(hit[:, 0].sum()), int(hit.any(dim=1).sum()), len(labels))


def evaluate(
    model: nn.Module,
    configurations: Sequence[Any],
    statistics: dict[str, Statistics],
    split: Split,
    data: DataConfig,
) -> dict[str, Accuracy]:
    """Accuracy on the whole split by configuration id. statistics: batch-norm statistics by configuration id."""
    training = model.training
    model.eval()
    try:
        return {
            c.id: accuracy_of(logits_of(model, c, statistics[c.id], split.images, data), split.labels)
            for c in progress(configurations, "evaluate")
        }
    finally:
        model.train(training)
