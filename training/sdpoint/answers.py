"""Answers of each configuration in detail: right answers by class, and differences from the answers of `full`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sdpoint.calibrate import Statistics
from sdpoint.checkpoint import Trained
from sdpoint.data import Split
from sdpoint.evaluate import accuracy_of, logits_of, mean_flops
from sdpoint.run import progress
from sdpoint.tables import Row, accuracy_rows, cost_rows

MOST = 5  # confusions listed for each configuration


def right_by_class(answers: Tensor, labels: Tensor, classes: int) -> list[int]:
    """Number of right answers for each class. answers, labels: [n] int64, indices of classes."""
    return torch.bincount(labels[answers == labels], minlength=classes).tolist()


def changes(full: Tensor, cheap: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Compare the answers of `full` with those of a cheaper configuration. full, cheap, labels: [n] int64.

    Returns lost: number of pictures that only `full` answers rightly; gained: number that only the cheaper one answers
    rightly; confusions: [true class, answer of the cheaper one, pictures] among those lost, the MOST most frequent.
    """
    lost, gained = (full == labels) & (cheap != labels), (full != labels) & (cheap == labels)
    pairs = Counter(zip(labels[lost].tolist(), cheap[lost].tolist(), strict=True))
    most = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST]
    confusions = [[classes[label], classes[answer], count] for (label, answer), count in most]
    return {"lost": int(lost.sum()), "gained": int(gained.sum()), "confusions": confusions}


def detailed_rows(trained: Trained, statistics: dict[str, Statistics], split: Split) -> list[Row]:
    """A row for each configuration: cost, accuracy, right answers by class, and changes from the first one, `full`.

    statistics: id -> batch-norm statistics; split: the pictures to evaluate.
    """
    accuracies, answers = {}, {}
    for configuration in progress(trained.instances, "evaluate"):
        own = statistics[configuration.id]
        logits = logits_of(trained.model, configuration, own, split.images, trained.config.data)
        accuracies[configuration.id] = accuracy_of(logits, split.labels)
        answers[configuration.id] = logits.argmax(1)
    full = answers[trained.instances[0].id]
    costs = cost_rows(trained.system, mean_flops(trained, statistics, split.images))
    return [
        row
        | {"correctByClass": right_by_class(answers[row["id"]], split.labels, len(split.classes))}
        | changes(full, answers[row["id"]], split.labels, split.classes)
        for row in accuracy_rows(costs, accuracies)
    ]
