"""Measures the effect of each step of an adaptation: points inserted, statistics mixed, distilled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sdpoint.calibrate import Statistics
from sdpoint.config import Config
from sdpoint.data import Split
from sdpoint.evaluate import accuracy_of, logits_of
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance
from sdpoint.interval import interval
from sdpoint.models import Network
from sdpoint.run import progress

Row = dict[str, Any]


def counted(hits: int, n: int) -> Row:
    """The share hits / n with its 95 % confidence interval."""
    return {"hits": hits, "n": n, "share": round(hits / n, 4), "interval": [round(v, 4) for v in interval(hits, n)]}


def effect_rows(
    model: Network,
    instances: Sequence[Instance],
    steps: Mapping[str, Mapping[str, Statistics]],
    held_out: Tensor,
    labelled: Split | None,
    config: Config,
) -> list[Row]:
    """A row for each instance: after each step, agreement with `full` on held-out pictures, and top-1 on labelled ones.

    steps: name of the step -> instance id -> statistics; held_out: [n, h, w, 3] uint8, n >= 1; labelled: None to leave
    out top-1.
    """
    data, size = config.data, config.data.size
    full = network_flops(config.model, model.classes, size)
    answers = logits_of(model, FULL, {}, held_out, data).argmax(1)

    def figures(instance: Instance, statistics: Statistics) -> Row:
        same = (logits_of(model, instance, statistics, held_out, data).argmax(1) == answers).sum()
        row = {"agreement": counted(int(same), len(held_out))}
        if labelled is not None:
            accuracy = accuracy_of(logits_of(model, instance, statistics, labelled.images, data), labelled.labels)
            row["top1"] = counted(accuracy.correct, accuracy.n)
        return row

    def one(instance: Instance) -> Row:
        share = network_flops(config.model, model.classes, size, instance) / full
        done = {name: figures(instance, of[instance.id]) for name, of in steps.items()}
        return {"id": instance.id, "share": round(share, 4), **done}

    return [one(instance) for instance in progress(instances, "effect")]
