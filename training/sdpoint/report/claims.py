"""The paper's claims as differences with standard errors: (a) better at every cost, (b) better than plain training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from sdpoint.report.results import Figures, System


@dataclass(frozen=True)
class Noise:
    """How far one run's top-1 lies from its system's mean.

    deviation: pooled over configurations that have several seeds; none if there is one seed only. Then the
    binomial deviation from the choice of pictures stands in for it, which is larger: all systems see the same ones.
    """

    deviation: float | None

    def error(self, a: Figures, b: Figures, at: float | None = None) -> float:
        """Standard error of the difference of two means; at: of a, if not its own."""
        if self.deviation is not None:
            return self.deviation * math.sqrt(1 / len(a.rows) + 1 / len(b.rows))
        p, q = a.mean if at is None else at, b.mean
        return math.sqrt(p * (1 - p) / a.rows[0]["n"] + q * (1 - q) / b.rows[0]["n"])


def pooled_noise(systems: Iterable[System]) -> Noise:
    """sqrt(sum of (n - 1) s^2 / sum of (n - 1)) over configurations with n > 1 seeds.

    Of the systems compared, no others: UBN's spread, for one, is several times that of the rest and would hide theirs.
    """
    squares, freedom = 0.0, 0
    for figures in (f for system in systems for f in system.figures if f.spread is not None):
        squares += (len(figures.rows) - 1) * figures.spread**2
        freedom += len(figures.rows) - 1
    return Noise(math.sqrt(squares / freedom) if freedom else None)


def verdict(value: float, error: float) -> str:
    """A difference within two standard errors is none."""
    if abs(value) <= 2 * error:
        return "alike"
    return "better" if value > 0 else "worse"


@dataclass(frozen=True)
class Difference:
    """Of mean top-1, ours less theirs. exact: ours is an instance of that cost, not interpolated."""

    rival: str
    theirs: Figures
    ours: float
    exact: bool
    error: float

    @property
    def value(self) -> float:
        return self.ours - self.theirs.mean

    @property
    def verdict(self) -> str:
        return verdict(self.value, self.error)


def at_cost(line: Sequence[Figures], share: float) -> tuple[float, Figures] | None:
    """(top-1 that the frontier has at this share, the nearest of its configurations).

    Between two configurations by a straight line; beyond the dearest what that gives, for more FLOPs buy no more;
    none below the cheapest. line: from cheap to dear.
    """
    if share < line[0].share - 1e-9:
        return None
    nearest = min(line, key=lambda f: abs(f.share - share))
    for low, high in pairwise(line):
        if low.share <= share <= high.share and high.share > low.share:
            part = (share - low.share) / (high.share - low.share)
            return low.mean + part * (high.mean - low.mean), nearest
    return (line[-1].mean if share >= line[-1].share else line[0].mean), nearest


def compare(ours: System, rival: System, noise: Noise) -> list[Difference]:
    """At every cost that the rival has and ours reaches; instance by instance if they have the same ones, as UBN."""
    found = []
    same = {f.id for f in ours.figures} == {f.id for f in rival.figures} and len(ours.figures) > 1
    for theirs in rival.figures:
        reached = (ours[theirs.id].mean, ours[theirs.id]) if same else at_cost(ours.frontier, theirs.share)
        if reached:
            value, nearest = reached
            exact = same or abs(nearest.share - theirs.share) < 1e-3
            found.append(Difference(rival.name, theirs, value, exact, noise.error(nearest, theirs, value)))
    return found


def unreached(ours: System, rival: System) -> list[Figures]:
    """What the rival offers at less than ours ever costs."""
    return [theirs for theirs in rival.figures if at_cost(ours.frontier, theirs.share) is None]


def regularization(ours: System, plain: System, noise: Noise) -> list[tuple[str, Figures, float, float]]:
    """(which, configuration, difference to plain training in top-1, its standard error), of `full` and of the best."""
    rival = plain["full"]
    chosen = [("full", ours["full"]), ("best on the held-out pictures", ours.best)]
    return [(which, f, f.mean - rival.mean, noise.error(f, rival)) for which, f in chosen]


def cheapest_as_good(ours: System, plain: System) -> Figures | None:
    """The cheapest instance whose mean is no lower than the plain network's."""
    return next((f for f in ours.figures if f.mean >= plain["full"].mean), None)


def tally(differences: Sequence[Difference]) -> dict[str, int]:
    return {verdict: sum(d.verdict == verdict for d in differences) for verdict in ("better", "alike", "worse")}


def mean_difference(differences: Sequence[Difference]) -> float:
    return fmean(d.value for d in differences)
