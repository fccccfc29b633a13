"""`docs/results.md`: tables and plots of every sweep, and what they say of the paper's claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from sdpoint.flops import CONVENTION
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
from sdpoint.report.results import OURS, PLAIN, Figures, Sweep, System, load_results, measured_on

FILE = "results.md"
HEAD = f"""# Results

Made by `sdpoint report` from the JSON files in `training/results/`; the lists in `training/configs/sweeps/` train them
anew, one command each. What a person makes of a list's figures is its `account.md` beside them. Means over seeds, with
the standard deviation between seeds where there are several.

- **FLOPs**: {CONVENTION}. Of training: forward and twice that backward, calibration and evaluation not counted.
- **share**: of the FLOPs of the plain network. Of SACT the mean over the pictures evaluated.
- Every configuration of every system has batch-norm statistics of its own, from one estimator; _UBN_ is SDPoint with
  the one set that training left.
- **Standard error** of a difference: the standard deviation between seeds, pooled over all configurations of the two
  systems that have several, times the root of 1/n + 1/m. With one seed each, the binomial deviation from the choice of
  pictures instead. A difference within two standard errors is _alike_.
- **Frontier** and **best** are chosen by the means on the held-out pictures. Where a section's figures are of those
  same pictures, what was chosen looks a little better than it is.
"""


def write_report(folders: Sequence[Path], out: Path, part: str | None = None) -> Path:
    """Write `results.md` and its plots into `out`. Raises RunError if results are missing."""
    sweeps = [load_results(folder, part) for folder in folders]
    out.mkdir(parents=True, exist_ok=True)
    path = out / FILE
    sections = [
        _section(sweep, _ours(sweep, folders), out, _account(folder))
        for sweep, folder in zip(sweeps, folders, strict=True)
    ]
    path.write_text("\n".join([HEAD, *sections]))
    return path


def _account(folder: Path) -> str:
    """Of `account.md`, if there is one: prose belongs to people, figures to this module."""
    path = folder / "account.md"
    return f"### What to make of it\n\n{path.read_text()}" if path.exists() else ""


def _ours(sweep: Sweep, folders: Sequence[Path]) -> System | None:
    """SDPoint of the sweep, or of another one that was trained and measured alike."""
    others = (load_results(folder, sweep.part) for folder in folders if measured_on(folder, sweep.part))
    return next((s[OURS] for s in (sweep, *others) if OURS in s and s.alike(sweep)), None)


def _section(sweep: Sweep, ours: System | None, out: Path, account: str) -> str:
    parts = [f"## {sweep.name}\n", _conditions(sweep), _systems(sweep), _costs(sweep, out), account]
    if ours:
        parts.append(_claim_a(ours, [system for system in sweep.systems if system.name != OURS]))
        parts.append(_unreached(ours, sweep.systems))
    if ours and PLAIN in sweep:
        parts.append(_claim_b(ours, sweep[PLAIN]))
    if OURS in sweep:
        parts.append(_low_cost(sweep, sweep[OURS], out))
    parts.append(_configurations(sweep))
    return "\n".join(filter(None, parts))


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

    return "### Systems\n\n" + table(head, map(row, sweep.systems))


def _costs(sweep: Sweep, out: Path) -> str:
    name = f"results-{sweep.name}-costs.png"
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
        "### Claim (a): SDPoint against the others at their costs\n\n"
        + table(["SDPoint against", "better", "alike", "worse", "mean difference", "deviation between seeds"], summary)
        + "\nDifferences of top-1 in points, SDPoint less the other. A star marks what is read off SDPoint's frontier "
        "between two instances, by a straight line; beyond its dearest, what that gives.\n\n"
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
        "### Claim (b): SDPoint against plain training\n\n"
        + table(["trained as", "configuration", "share", "top-1", "difference, points", "standard error"], rows)
        + f"\nAs accurate as the plain network, on these pictures: {cheapest}.\n"
    )


def _low_cost(sweep: Sweep, ours: System, out: Path) -> str:
    cheap = ours.figures[0]
    classes, changes = (f"results-{sweep.name}-{which}.png" for which in ("classes", "changes"))
    plot_classes(out / classes, sweep, ours, cheap)
    plot_changes(out / changes, sweep, ours)
    count: Counter[tuple[str, str]] = Counter()
    for row in cheap.rows:
        count.update({(label, answer): pictures for label, answer, pictures in row["confusions"]})
    rows = [[label, answer, f"{pictures / len(cheap.rows):.1f}"] for (label, answer), pictures in count.most_common(5)]
    lost, gained = (cheap.average(key) for key in ("lost", "gained"))
    return (
        "### What low cost costs\n\n"
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
    return "### Every configuration\n\n" + table(head, rows)


def shown(figures: Figures) -> str:
    """Mean and spread in per cent."""
    spread = "" if figures.spread is None else f" ± {100 * figures.spread:.2f}"
    return f"{figures.mean:.2%}{spread}"


def table(head: Sequence[str], rows) -> str:
    """Markdown, in columns; the first to the left, the others to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(lines[0]), f"| {' | '.join(rule)} |", *map(line, lines[1:])]) + "\n"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
