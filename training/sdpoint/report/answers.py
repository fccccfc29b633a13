"""What a list says to the questions that open `docs/results.md`. Words follow from the figures, never by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sdpoint.report.claims import Difference, compare, mean_difference, pooled_noise, regularization, tally, verdict
from sdpoint.report.results import OURS, PLAIN, UBN, Figures, Sweep, System
from sdpoint.report.tables import shown


@dataclass(frozen=True)
class Answer:
    """holds: whether what was hoped for is so; none if nothing was."""

    words: str
    figure: str
    holds: bool | None = None


@dataclass(frozen=True)
class Question:
    """ask: as a user would; of: (list, SDPoint trained alike) -> the answer, none where the list says nothing to it."""

    ask: str
    goal: str
    of: Callable[[Sweep, System], Answer | None]


def seeds(*systems: System) -> str:
    counts = sorted({len(system.runs) for system in systems})
    if counts == [1]:
        return "n = 1 seed"
    return f"n = {counts[0]} seeds" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]} seeds"


def _by_rival(ours: System, rivals: Sequence[System]) -> dict[str, list[Difference]]:
    found = {rival.name: compare(ours, rival, pooled_noise((ours, rival))) for rival in rivals}
    return {name: differences for name, differences in found.items() if differences}


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names)


def at_every_cost(sweep: Sweep, ours: System) -> Answer | None:
    """Claim (a): against each other way to be adjustable, at its costs."""
    if OURS not in sweep:
        return None
    rivals = [system for system in sweep.systems if system.name not in (OURS, PLAIN, UBN)]
    by_rival = _by_rival(ours, rivals)
    if not by_rival:
        return None
    counts = {name: tally(differences) for name, differences in by_rival.items()}
    worse = [name for name, count in counts.items() if count["worse"]]
    better = [name for name, count in counts.items() if count["better"] and not count["worse"]]
    alike = [name for name in counts if name not in worse and name not in better]
    parts = [("never worse than", better), ("alike", alike), ("at some cost worse than", worse)]
    words = "; ".join(f"{what} {_joined(names)}" for what, names in parts if names)
    each = [f"{name} {100 * mean_difference(own):+.1f}" for name, own in by_rival.items()]
    return Answer(
        words if not worse else f"**not against all**: {words}",
        f"mean difference in points: {_joined(each)} ({seeds(ours, *rivals)})",
        not worse,
    )


def regularizes(sweep: Sweep, ours: System) -> Answer | None:
    """Claim (b): the full network against plain training."""
    if PLAIN not in sweep or OURS not in sweep:
        return None
    plain = sweep[PLAIN]
    noise = pooled_noise((ours, plain))
    (_, full, value, error), *_ = regularization(ours, plain, noise)
    said = {"better": "yes", "alike": "alike", "worse": "**no**"}[verdict(value, error)]
    return Answer(
        f"{said}: {100 * value:+.1f} points",
        f"full {shown(full)}, plain {shown(plain['full'])}; difference {100 * value:+.2f}, standard error "
        f"{100 * error:.2f} ({seeds(ours, plain)})",
        verdict(value, error) == "better",
    )


def at_low_cost(sweep: Sweep, ours: System) -> Answer | None:
    """What the dial costs: the cheapest instance, and the cheapest within a point of `full`."""
    if OURS not in sweep:
        return None
    full, cheap = ours["full"], ours.figures[0]
    near: Figures = next(f for f in ours.figures if f.mean >= full.mean - 0.01)
    lost = 100 * (full.mean - cheap.mean)
    return Answer(
        f"{lost:.1f} points at {cheap.share:.0%} of the FLOPs; less than one from {near.share:.0%} on",
        f"`{cheap.id}` {shown(cheap)}, `{near.id}` {shown(near)}, `full` {shown(full)} ({seeds(ours)})",
    )


def own_statistics(sweep: Sweep, ours: System) -> Answer | None:
    if UBN not in sweep or OURS not in sweep:
        return None
    differences = compare(ours, sweep[UBN], pooled_noise((ours, sweep[UBN])))
    if not differences:
        return None
    count, mean = tally(differences), mean_difference(differences)
    helps = count["better"] > 0 and count["worse"] == 0
    return Answer(
        f"{'yes' if helps else '**not everywhere**'}: better in {count['better']} of {len(differences)} instances",
        f"{100 * mean:+.2f} points on average ({seeds(ours)})",
        helps,
    )


def changes_help(sweep: Sweep, ours: System) -> Answer | None:
    """Of a list of variants: each against SDPoint as it is, at the costs that it has."""
    if OURS in sweep:
        return None
    by_variant = _by_rival(ours, [system for system in sweep.systems if system.name != UBN])
    if not by_variant:
        return None
    # The variant is the rival here, so what is worse for SDPoint is better for it.
    counts = {name: tally(differences) for name, differences in by_variant.items()}
    helping = [name for name, count in counts.items() if count["worse"] and not count["better"]]
    each = [
        f"{name} {-100 * mean_difference(own):+.1f} (better at {counts[name]['worse']}, worse at "
        f"{counts[name]['better']} of {len(own)} costs)"
        for name, own in by_variant.items()
    ]
    return Answer(
        f"never worse and somewhere better: {_joined(helping) or 'none'}",
        f"mean difference in points: {_joined(each)} ({seeds(ours, *sweep.systems)})",
    )


QUESTIONS = (
    Question(
        "Is one network at many costs as good as other ways to have many costs?",
        "nowhere worse (claim a)",
        at_every_cost,
    ),
    Question("Is the full network better for it?", "better than plain training (claim b)", regularizes),
    Question("What do cheap answers lose?", "", at_low_cost),
    Question(
        "Is it worth giving each instance batch-norm statistics of its own?",
        "nowhere worse than shared ones",
        own_statistics,
    ),
    Question("Does another way to train it help?", "", changes_help),
)
