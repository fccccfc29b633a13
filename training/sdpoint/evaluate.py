"""Accuracy of configurations on a named part of the data, each with its own batch-norm statistics."""

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

PIXELS = 250 * 32 * 32  # in a batch: of large pictures fewer, whose maps would not fit the caches


@dataclass(frozen=True)
class Accuracy:
    """correct, correct5: of n pictures, the label is first, or among the first five."""

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
        """95 %, of top1."""
        return interval(self.correct, self.n)


def open_test(root: Path, trained: Trained, run: Run, by: str) -> Split:
    """The only way to the test part: every opening is logged, and their number is published.

    by: the command that opens it. Raises DataError.
    """
    split = load_split(root, "test", trained.config.data).expect_classes(trained.classes)
    run.log("test-opened", by=by, weights=trained.digest, pictures=len(split))
    return split


def mean_flops(trained: Trained, statistics: dict[str, Statistics], images: Tensor) -> dict[str, int]:
    """Id -> FLOPs of one of these pictures, on average; a system may spend more on some than on others."""
    return {c.id: trained.system.mean_flops(trained.model, c, statistics[c.id], images) for c in trained.instances}


@torch.no_grad()
def logits_of(model: nn.Module, configuration: Any, statistics: Statistics, images: Tensor, data: DataConfig) -> Tensor:
    """images: [n, h, w, 3] uint8 -> [n, classes] float32. The model must be in eval mode; it is not changed."""
    device, count = next(model.parameters()).device, max(1, PIXELS // data.size**2)
    own = {name: value.to(device) for name, value in statistics.items()}
    batches = (normalise(batch.to(device), data) for batch in images.split(count))
    return torch.cat([functional_call(model, own, (batch, configuration)).cpu() for batch in batches])


def accuracy_of(logits: Tensor, labels: Tensor) -> Accuracy:
    """logits: [n, classes]; labels: [n]."""
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
    """Id -> accuracy on the whole split."""
    training = model.training
    model.eval()
    try:
        return {
            c.id: accuracy_of(logits_of(model, c, statistics[c.id], split.images, data), split.labels)
            for c in progress(configurations, "evaluate")
        }
    finally:
        model.train(training)
