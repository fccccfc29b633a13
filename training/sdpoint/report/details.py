"""The page of one list: its systems, the paper's claims on it, and every configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from sdpoint.report.claims import (
    Noise,
    cheapest_as_good,
    compare,
    mean_difference,
    pooled_noise,
    regularization,
    tally,
    unreached,
)
from sdpoint.report.plots import plot_changes, plot_classes, plot_costs
from sdpoint.report.results import OURS, PLAIN, Figures, Sweep, System
from sdpoint.report.tables import shown, table


def details(sweep: Sweep, ours: System | None, folder: Path, out: Path) -> str:
    """Text of the page; its plots go to `out`, where the page is meant to lie. folder: of the JSON and `account.md`."""
    parts = [
        f"# {sweep.name}\n",
        "All figures of this list behind [results.md](../results.md), which says what the words mean.\n",
        _conditions(sweep),
        _systems(sweep),
        _costs(sweep, out),
        _account(folder),
    ]
    if ours:
        parts.append(_claim_a(ours, [system for system in sweep.systems if system.name != OURS]))
        parts.append(_unreached(ours, sweep.systems))
    if ours and PLAIN in sweep:
        parts.append(_claim_b(ours, sweep[PLAIN]))
    if OURS in sweep:
        parts.append(_low_cost(sweep, sweep[OURS], out))
    parts.append(_configurations(sweep))
    return "\n".join(filter(None, parts))


def _account(folder: Path) -> str:
    """Of `account.md`, if there is one: prose belongs to people, figures to this package."""
    path = folder / "account.md"
    return f"## What to make of it\n\n{path.read_text()}" if path.exists() else ""


def _conditions(sweep: Sweep) -> str:
    head, config = sweep.head, sweep.head["config"]
    runs = [run for system in sweep.systems for run in system.runs]
    commits, devices = (", ".join(sorted({run[key] for run in runs})) for key in ("commit", "device"))
    versions = ", ".join(f"{key} {value}" for key, value in head["versions"].items())
    openings = max(run["testOpened"] for run in runs)
    opened = f"opened at most {_times(openings)} in a run" if openings else "not opened"
    network = sweep[PLAIN].runs[0]["network"] if PLAIN in sweep else head["network"]
    return (
        f"{network} on {config['data']['name']}, {head['epochs']} epochs on {head['pictures']:,} pictures. "
        f"Figures are of the {sweep.pictures:,} pictures of the **{sweep.part}** part; the test part was {opened}. "
        f"Trained on {devices}; commit {commits}; {versions}.\n"
    )


def _systems(sweep: Sweep) -> str:
    head = [
        "system",
        "seeds",
        "training TFLOPs an epoch",
        "minutes a run",
        "top-1, `full`",
        "best, on held-out",
        "its share",
        "its top-1",
    ]

    def row(system: System) -> list[str]:
        spent = fmean(run["trainingFlopsPerEpoch"] for run in system.runs) / 1e12
        minutes = fmean(run["seconds"] for run in system.runs) / 60
        best = system.best
        seeds = ", ".join(map(str, system.seeds))
        costs = [f"{spent:.2f}", f"{minutes:.1f}"]
        return [system.name, seeds, *costs, shown(system["full"]), f"`{best.id}`", f"{best.share:.3f}", shown(best)]

    return (
        "## Systems\n\n"
        "A row is one way to train a network that can run at several costs. It says what training took, how accurate\n"
        "the network is at full cost, and which of its configurations was best on the held-out pictures.\n\n"
        + table(head, map(row, sweep.systems))
    )


def _costs(sweep: Sweep, out: Path) -> str:
    name = f"{sweep.name}-costs.png"
    plot_costs(out / name, sweep)
    return f"![top-1 error against share of FLOPs for all systems]({name})\n"


def _claim_a(ours: System, rivals: Sequence[System]) -> str:
    noises = {rival.name: pooled_noise((ours, rival)) for rival in rivals}
    by_rival = {rival.name: compare(ours, rival, noises[rival.name]) for rival in rivals}
    summary = [
        [
            rival,
            *(str(count) for count in tally(own).values()),
            f"{100 * mean_difference(own):+.2f}",
            _deviation(noises[rival]),
        ]
        for rival, own in by_rival.items()
        if own
    ]
    rows = [
        [
            f"{d.rival} `{d.theirs.id}`",
            f"{d.theirs.share:.3f}",
            shown(d.theirs),
            f"{d.ours:.2%}" + ("" if d.exact else " *"),
            f"{100 * d.value:+.2f}",
            f"{100 * d.error:.2f}",
            d.verdict,
        ]
        for own in by_rival.values()
        for d in own
    ]
    return (
        "## Claim (a): SDPoint against the others at their costs\n\n"
        "A row is one other system: at how many of its costs SDPoint is better, alike or worse, and by how much on\n"
        "average.\n\n"
        + table(["SDPoint against", "better", "alike", "worse", "mean difference", "deviation between seeds"], summary)
        + "\nThe same cost by cost. Differences of top-1 in points, SDPoint less the other. A star marks what is read\n"
        "off SDPoint's frontier between two instances, by a straight line; beyond its dearest, what that gives.\n\n"
        + table(["against", "share", "its top-1", "SDPoint's", "difference", "standard error", "SDPoint is"], rows)
    )


def _deviation(noise: Noise) -> str:
    return "one seed each" if noise.deviation is None else f"{100 * noise.deviation:.2f}"


def _unreached(ours: System, rivals: Sequence[System]) -> str:
    cheaper = [f"{s.name} `{f.id}` (share {f.share:.3f}, {shown(f)})" for s in rivals for f in unreached(ours, s)]
    return f"Cheaper than any instance of SDPoint, and so not compared: {', '.join(cheaper) or 'none'}.\n"


def _claim_b(ours: System, plain: System) -> str:
    noise = pooled_noise((ours, plain))
    rows = [["plain", "`full`", "1.000", shown(plain["full"]), "", ""]]
    for which, figures, value, error in regularization(ours, plain, noise):
        costs = [f"`{figures.id}`", f"{figures.share:.3f}", shown(figures)]
        rows.append([f"SDPoint, {which}", *costs, f"{100 * value:+.2f}", f"{100 * error:.2f}"])
    good = cheapest_as_good(ours, plain)
    cheapest = f"at share {good.share:.3f} (`{good.id}`)" if good else "at no cost"
    return (
        "## Claim (b): SDPoint against plain training\n\n"
        "The plain network against SDPoint at full cost, and against its best instance: above 0, training at many\n"
        "costs helps.\n\n"
        + table(["trained as", "configuration", "share", "top-1", "difference, points", "standard error"], rows)
        + f"\nAs accurate as the plain network, on these pictures: {cheapest}.\n"
    )


def _low_cost(sweep: Sweep, ours: System, out: Path) -> str:
    cheap = ours.figures[0]
    classes, changes = (f"{sweep.name}-{which}.png" for which in ("classes", "changes"))
    plot_classes(out / classes, sweep, ours, cheap)
    plot_changes(out / changes, sweep, ours)
    count: Counter[tuple[str, str]] = Counter()
    for row in cheap.rows:
        count.update({(label, answer): pictures for label, answer, pictures in row["confusions"]})
    rows = [[label, answer, f"{pictures / len(cheap.rows):.1f}"] for (label, answer), pictures in count.most_common(5)]
    lost, gained = (cheap.average(key) for key in ("lost", "gained"))
    return (
        "## What low cost costs\n\n"
        f"![top-1 error by class of full and of the cheapest instance]({classes})\n\n"
        f"![pictures lost and gained against full, by share of FLOPs]({changes})\n\n"
        f"Of {sweep.pictures:,} pictures, `{cheap.id}` loses {lost:.0f} that `full` gets right and gains {gained:.0f}. "
        "Most of those lost:\n\n" + table(["it shows", "taken for", "pictures a run"], rows)
    )


def _configurations(sweep: Sweep) -> str:
    def row(system: System, figures: Figures) -> list[str]:
        flops = f"{figures.average('flops'):,.0f}"
        mark = "yes" if figures in system.frontier else ""
        return [
            system.name,
            f"`{figures.id}`",
            flops,
            f"{figures.share:.3f}",
            shown(figures),
            str(len(figures.rows)),
            mark,
        ]

    rows = [row(system, figures) for system in sweep.systems for figures in system.figures]
    head = ["system", "configuration", "FLOPs", "share", "top-1", "seeds", "on its frontier"]
    return (
        "## Every configuration\n\n"
        "A row is one configuration of one system; those that no other of their system beats are on its frontier.\n\n"
        + table(head, rows)
    )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
