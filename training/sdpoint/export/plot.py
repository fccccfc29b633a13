"""Plots accuracy against cost for the instances of a family."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sdpoint.export.measure import Measured

BLUE, GREY = "#1f5fa8", "#8a8f98"


def plot_frontier(path: Path, title: str, measured: Sequence[Measured], best: Collection[str]) -> None:
    """Write a PNG of top-1 on the test part against the share of FLOPs. best: ids of the instances on the frontier."""
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    measured = [m for m in measured if m.precision == "float32"]  # a twin has the FLOPs of its instance
    on = sorted((m for m in measured if m.id in best), key=lambda m: m.flops)
    off = [m for m in measured if m.id not in best]
    # Drawn as steps, since a budget between two instances allows only the cheaper one.
    axes.plot(*_points(on), "o-", drawstyle="steps-post", color=BLUE, label="on the frontier", zorder=3)
    if off:
        axes.plot(
            *_points(off),
            "o",
            color=GREY,
            markerfacecolor="white",
            label="off it: another costs no more and is as good",
        )
    for m in measured:
        # Labels avoid the line: above and left of points on the frontier, below and right of the others.
        above = m.id in best
        axes.annotate(
            m.id,
            (m.share, 100 * m.test.top1),
            (-4, 5) if above else (5, -5),
            textcoords="offset points",
            ha="right" if above else "left",
            va="bottom" if above else "top",
            fontsize=7.5,
            color=BLUE if above else GREY,
        )
    axes.set(title=title, xlabel="share of the full network's FLOPs", ylabel="top-1, % of the test part")
    axes.margins(x=0.1, y=0.12)
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # so that equal figures give equal bytes


def _points(measured: Sequence[Measured]) -> tuple[list[float], list[float]]:
    return [m.share for m in measured], [100 * m.test.top1 for m in measured]
