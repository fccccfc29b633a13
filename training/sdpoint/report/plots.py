"""The pictures of a report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdpoint.frontier import Point, frontier
from sdpoint.report.results import OURS, Figures, Sweep, System

COLOURS = ("#1f5fa8", "#c4551a", "#2e8b57", "#8e44ad", "#b8860b", "#555555", "#d4679b", "#17a2b8", "#7a3b12", "#9aa5b1")
MARKERS = "osD^vPX*<>"
SHOWN_CLASSES = 12  # of many, those that lose most


def plot_costs(path: Path, sweep: Sweep) -> None:
    """Error against share of FLOPs for every configuration of every system; bars: standard deviation over seeds."""
    figure, axes = _axes((7.6, 5.0))
    systems = sorted(sweep.systems, key=lambda s: s.name != OURS)
    for system, colour, marker in zip(systems, COLOURS, MARKERS, strict=False):
        figures, ours = system.figures, system.name == OURS
        line = system.frontier
        axes.plot(_shares(line), _errors(line), "-", color=colour, linewidth=2 if ours else 1, alpha=0.8, zorder=2)
        axes.errorbar(
            _shares(figures),
            _errors(figures),
            yerr=[100 * (f.spread or 0) for f in figures],
            fmt=marker,
            markersize=6 if ours else 4.5,
            color=colour,
            elinewidth=0.8,
            label=f"{system.name} ({len(system.runs)})",
            zorder=4 if ours else 3,
        )
    axes.set(xlabel="share of the plain network's FLOPs", ylabel=f"top-1 error, % ({sweep.part})")
    axes.legend(frameon=False, fontsize=8, title="system (seeds)", title_fontsize=8)
    _save(figure, path)


def plot_classes(path: Path, sweep: Sweep, system: System, cheap: Figures) -> None:
    """Error by class of `full` and of a cheap instance, those that lose most first."""
    full, sizes = system["full"], system.runs[0]["parts"][sweep.part]["nByClass"]
    names = sweep.head["classes"]
    errors = {
        which.id: [100 * (1 - right / size) for right, size in zip(which.by_class(), sizes, strict=True)]
        for which in (full, cheap)
    }
    order = sorted(range(len(names)), key=lambda k: errors[full.id][k] - errors[cheap.id][k])[:SHOWN_CLASSES]
    figure, axes = _axes((7.6, 3.6))
    for offset, (which, colour) in enumerate(((full, COLOURS[0]), (cheap, COLOURS[1]))):
        places = [rank + 0.4 * offset - 0.2 for rank in range(len(order))]
        label = f"{which.id}, {which.share:.0%} of the FLOPs"
        axes.bar(places, [errors[which.id][k] for k in order], 0.4, color=colour, label=label)
    axes.set_xticks(range(len(order)), [names[k] for k in order], rotation=35, ha="right", fontsize=8)
    axes.set(ylabel=f"top-1 error, % ({sweep.part})")
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def plot_changes(path: Path, sweep: Sweep, system: System) -> None:
    """Share of pictures that an instance gets wrong and `full` right (lost), and the other way round (gained)."""
    figure, axes = _axes((7.6, 3.6))
    figures = [f for f in system.figures if f.id != "full"]
    for key, colour, marker in (("lost", COLOURS[1], "v"), ("gained", COLOURS[2], "^")):
        values = [100 * f.average(key) / sweep.pictures for f in figures]
        axes.plot(_shares(figures), values, marker, color=colour, label=key)
    axes.set(xlabel="share of the plain network's FLOPs", ylabel=f"pictures, % ({sweep.part})")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def plot_separate(path: Path, measured: dict[str, Any]) -> None:
    """Fall in top-1 against share of FLOPs: instances of a family, and separate networks at several inputs."""
    figure, axes = _axes((7.6, 5.0))
    groups = {"": measured["instances"]}
    for row in measured["separate"]:
        groups.setdefault(row["network"], []).append(row)
    for (name, rows), colour, marker in zip(groups.items(), COLOURS, MARKERS, strict=False):
        shares, falls = [row["share"] for row in rows], [row["all"]["fall"] for row in rows]
        label = f"{name}, at several inputs" if name else f"instances of {measured['family']}; line: frontier"
        axes.plot(shares, falls, marker, color=colour, label=label, markersize=5)
        if not name:
            best = frontier({row["id"]: Point(row["share"], -row["all"]["fall"]) for row in rows})
            line = [row for row in rows if row["id"] in best]
            points = [row["share"] for row in line], [row["all"]["fall"] for row in line]
            axes.plot(*points, "-", drawstyle="steps-post", color=colour)  # a budget in between buys the cheaper one
        for row in rows:
            text = str(row["input"]) if name else row["id"]
            axes.annotate(text, (row["share"], row["all"]["fall"]), (4, 4), textcoords="offset points", fontsize=6.5)
    n = measured["instances"][0]["all"]["n"]
    axes.set(xlabel="share of full's FLOPs", ylabel=f"fall in top-1 from full, points (n = {n:,})")
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _axes(size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    """The same bytes from the same figures; what was drawn is noted in digest, as letters differ from host to host."""
    data = [*_drawn(figure), *(text.get_text() for axes in figure.axes for text in axes.get_xticklabels())]
    digest = hashlib.sha256(json.dumps(data).encode()).hexdigest()
    figure.savefig(path, dpi=110, metadata={"Software": None, "Description": digest})


def _drawn(figure: Figure) -> Iterator[object]:
    """Positions of all lines and bars, and what they are called."""
    for axes in figure.axes:
        yield axes.get_xlabel(), axes.get_ylabel()
        for line in axes.lines:
            yield line.get_label(), np.round(line.get_xydata(), 6).tolist()
        for spans in axes.collections:  # error bars
            yield [np.round(span, 6).tolist() for span in spans.get_segments()]
        for bar in axes.patches:
            yield [round(value, 6) for value in (bar.get_x(), bar.get_height())]


def _shares(figures: Sequence[Figures]) -> list[float]:
    return [f.share for f in figures]


def _errors(figures: Sequence[Figures]) -> list[float]:
    return [100 * (1 - f.mean) for f in figures]
