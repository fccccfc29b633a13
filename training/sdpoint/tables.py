"""Rows of figures about instances: as JSON for files, as text for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdpoint.config import ModelConfig
from sdpoint.evaluate import Accuracy
from sdpoint.flops import network_flops
from sdpoint.frontier import Point, frontier
from sdpoint.instance import FULL, Instance, enumerate_instances
from sdpoint.models import plan_network

Row = dict[str, Any]


def cost_rows(config: ModelConfig, classes: int, size: int) -> list[Row]:
    """What each instance costs; share: of the FLOPs of `full`."""
    full = network_flops(config, classes, size, FULL)

    def row(instance: Instance) -> Row:
        flops = network_flops(config, classes, size, instance)
        return {"id": instance.id, "p": instance.p, "r": instance.r, "flops": flops, "share": round(flops / full, 4)}

    return [row(i) for i in enumerate_instances(plan_network(config).points, config.ratios)]


def accuracy_rows(costs: Sequence[Row], accuracies: Mapping[str, Accuracy]) -> list[Row]:
    """The same rows with accuracies (fractions and counts), and whether the instance is on the frontier."""
    best = frontier({row["id"]: Point(row["flops"], accuracies[row["id"]].correct) for row in costs})
    return [
        {**row, "top1": a.top1, "top5": a.top5, "correct": a.correct, "n": a.n, "frontier": row["id"] in best}
        for row in costs
        for a in (accuracies[row["id"]],)
    ]


def as_text(rows: Sequence[Row]) -> str:
    """Columns under their keys, numbers to the right."""
    lines = [list(rows[0])] + [[_shown(key, value) for key, value in row.items()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([cells[0].ljust(widths[0]), *padded]).rstrip()

    return "\n".join(map(line, lines))


def _shown(key: str, value: Any) -> str:
    match value:
        case bool():
            return "*" if value else ""
        case float() if key in ("top1", "top5"):
            return f"{value:.2%}"
        case float() if key == "share":
            return f"{value:.3f}"
        case int():
            return f"{value:,}"
    return str(value)
