"""Figures and tables as the pages show them."""

from __future__ import annotations

from collections.abc import Sequence

from sdpoint.report.results import Figures

# Columns are filled up so that the text itself can be read, but not beyond this: lines would be longer than any screen.
MOST_FILLED = 60


def shown(figures: Figures) -> str:
    """Mean and spread in per cent."""
    spread = "" if figures.spread is None else f" ± {100 * figures.spread:.2f}"
    return f"{figures.mean:.2%}{spread}"


def table(head: Sequence[str], rows, *, words: bool = False) -> str:
    """Markdown, in columns; the first to the left, the others to the right, or all to the left where they are words."""
    lines = [list(head), *map(list, rows)]
    widths = [min(MOST_FILLED, max(3, *map(len, column))) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        laid = (cell.ljust(width) if words else cell.rjust(width) for cell, width in others)
        return f"| {' | '.join([first[0].ljust(first[1]), *laid])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ("-" if words else ":") for width in widths[1:])]
    return "\n".join([line(lines[0]), f"| {' | '.join(rule)} |", *map(line, lines[1:])]) + "\n"
