"""Tables of costs and accuracies of configurations: as rows for JSON files, and as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdpoint.evaluate import Accuracy
from sdpoint.frontier import Point, frontier
from sdpoint.instance import Instance
from sdpoint.systems.base import System

Row = dict[str, Any]


def cost_rows(system: System, flops: Mapping[str, int] | None = None) -> list[Row]:
    """A row for each configuration: FLOPs, and their share of the plain network's FLOPs.

    flops: measured FLOPs by id, for systems whose own figure is only an upper bound; None: the system's own figures.
    """

    def row(configuration: Any) -> Row:
        id = configuration.id
        cost = flops[id] if flops else system.flops(configuration)
        place = {"p": configuration.p, "r": configuration.r} if isinstance(configuration, Instance) else {}
        return {"id": id, **place, "flops": cost, "share": round(cost / system.plain_flops, 4)}

    return [row(c) for c in system.configurations]


def accuracy_rows(costs: Sequence[Row], accuracies: Mapping[str, Accuracy]) -> list[Row]:
    """The rows of `cost_rows` with accuracies (fractions and counts), and whether each is on the frontier."""
    best = frontier({row["id"]: Point(row["flops"], accuracies[row["id"]].correct) for row in costs})
    return [
        {**row, "top1": a.top1, "top5": a.top5, "correct": a.correct, "n": a.n, "frontier": row["id"] in best}
        for row in costs
        for a in (accuracies[row["id"]],)
    ]


def as_text(rows: Sequence[Row]) -> str:
    """The rows as text: columns with their keys as headings, numbers aligned to the right."""
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
