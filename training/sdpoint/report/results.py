"""What a sweep's JSON files say, gathered by system and configuration over seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from sdpoint.frontier import Point, frontier
from sdpoint.run import RunError

OURS, PLAIN, UBN = "sdpoint", "plain", "UBN"


@dataclass(frozen=True)
class Figures:
    """One configuration of one system. rows: of each seed, as `sdpoint/answers.py` makes them."""

    rows: tuple[dict[str, Any], ...]

    @property
    def id(self) -> str:
        return self.rows[0]["id"]

    @property
    def share(self) -> float:
        """Of the plain network's FLOPs, mean over seeds."""
        return fmean(row["share"] for row in self.rows)

    @property
    def top1(self) -> list[float]:
        """Of each seed, in 0..1."""
        return [row["correct"] / row["n"] for row in self.rows]

    @property
    def mean(self) -> float:
        return fmean(self.top1)

    @property
    def spread(self) -> float | None:
        """Standard deviation over seeds; none if there is one."""
        return stdev(self.top1) if len(self.rows) > 1 else None

    def average(self, key: str) -> float:
        return fmean(row[key] for row in self.rows)

    def by_class(self) -> list[float]:
        """Right answers of each class, mean over seeds."""
        return [fmean(counts) for counts in zip(*(row["correctByClass"] for row in self.rows), strict=True)]


@dataclass(frozen=True)
class System:
    """One system of a sweep. runs: the JSON of each seed; figures: from cheap to dear; chosen: the same on held-out."""

    name: str
    runs: tuple[dict[str, Any], ...]
    figures: tuple[Figures, ...]
    chosen: tuple[Figures, ...]

    @property
    def seeds(self) -> list[int]:
        return [run["seed"] for run in self.runs]

    def __getitem__(self, id: str) -> Figures:
        return next(f for f in self.figures if f.id == id)

    @property
    def frontier(self) -> list[Figures]:
        """Those that no other beats in mean accuracy and cost, on the held-out pictures; cheap ones first."""
        points = {f.id: Point(f.share, f.mean) for f in self.chosen}
        return sorted((self[id] for id in frontier(points)), key=lambda f: f.share)

    @property
    def best(self) -> Figures:
        """The most accurate configuration, chosen on the held-out pictures."""
        return self[max(self.chosen, key=lambda f: (f.mean, -f.share)).id]


@dataclass(frozen=True)
class Sweep:
    """name: the list's; part: what its figures are of; systems: in the order of their accuracy at full cost."""

    name: str
    part: str
    systems: tuple[System, ...]

    def __getitem__(self, name: str) -> System:
        return next(s for s in self.systems if s.name == name)

    def __contains__(self, name: str) -> bool:
        return any(s.name == name for s in self.systems)

    @property
    def head(self) -> dict[str, Any]:
        """A run, for what all of them have in common."""
        return self.systems[0].runs[0]

    @property
    def pictures(self) -> int:
        return self.head["parts"][self.part]["n"]

    def alike(self, other: Sweep) -> bool:
        """Whether figures may be compared: the same data, pictures, epochs and part."""

        def conditions(sweep: Sweep) -> tuple[Any, ...]:
            model = {key: value for key, value in sweep.head["config"]["model"].items() if key != "ratios"}
            data = sweep.head["config"]["data"]
            return data, model, sweep.head["epochs"], sweep.head["pictures"], sweep.part

        return conditions(self) == conditions(other)


def _runs(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def measured_on(folder: Path, part: str) -> bool:
    """Whether every run has it."""
    return all(part in run["parts"] for run in _runs(folder))


def load_results(folder: Path, part: str | None = None) -> Sweep:
    """part: unless told, test if every run has it. Raises RunError if a run lacks the part, or there is none."""
    runs = _runs(folder)
    if not runs:
        raise RunError(f"{folder} holds no results; expected the JSON files that `sdpoint sweep` writes")
    part = part or ("test" if measured_on(folder, "test") else "held-out")
    if lacking := [f"{run['system']}-seed{run['seed']}" for run in runs if part not in run["parts"]]:
        raise RunError(f"{folder}: {', '.join(lacking)} not measured on {part}; `sdpoint sweep --part {part}` does it")
    systems = []
    for name in dict.fromkeys(run["system"] for run in runs):
        own = sorted((run for run in runs if run["system"] == name), key=lambda run: run["seed"])
        systems.append(_system(name, own, part, "configurations"))
        if name == OURS:
            systems.append(_system(UBN, own, part, "ubn"))
    return Sweep(folder.name, part, tuple(sorted(systems, key=lambda s: -s["full"].mean)))


def _system(name: str, runs: Sequence[dict[str, Any]], part: str, key: str) -> System:
    def gathered(of: str) -> tuple[Figures, ...]:
        found = [run["parts"][of][key] for run in runs if of in run["parts"]]
        return tuple(sorted(map(Figures, _by_configuration(found)), key=lambda f: f.share))

    return System(name, tuple(runs), gathered(part), gathered("held-out") or gathered(part))


def _by_configuration(runs: Iterable[list[dict[str, Any]]]) -> list[tuple[dict[str, Any], ...]]:
    """The rows of one configuration together."""
    return list(zip(*(sorted(rows, key=lambda row: row["id"]) for rows in runs), strict=True))
