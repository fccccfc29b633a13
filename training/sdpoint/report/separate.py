"""A family beside separate networks: a page and a plot from a JSON file of bench/separate.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdpoint.report.plots import plot_separate
from sdpoint.report.tables import table

ALLOWED = 0.5  # points by which a separate network may be above the family at its cost


def read_separate(path: Path) -> dict[str, Any]:
    return {**json.loads(path.read_text()), "stem": path.stem}


def worst_of(measured: dict[str, Any]) -> dict[str, Any]:
    """The separate network that is most above the family's best instance at its cost."""
    return max((row for row in measured["separate"] if "lead" in row), key=lambda row: row["lead"])


def sentence(measured: dict[str, Any]) -> str:
    """What the front page says."""
    worst = worst_of(measured)
    low, high = worst["interval"]
    verdict = "no separate network is more than" if worst["lead"] <= ALLOWED else "**a separate network is** more than"
    compared = sum("lead" in row for row in measured["separate"])
    return (
        f"`{measured['family']}` beside {compared} separate networks, on {worst['all']['n']:,} photographs: at equal "
        f"cost {verdict} {ALLOWED:g} points better. The largest lead: {worst['network']} at {worst['input']} pixels, "
        f"share {worst['share']:.2f}: {worst['lead']:+.1f} points ({low:+.1f} to {high:+.1f}) against "
        f"`{worst['beside']}`."
    )


def separate_page(measured: dict[str, Any], link: str) -> str:
    """Markdown of the page of details. link: to the raw result, from the page."""
    sets = [key for key in measured["instances"][0] if isinstance(measured["instances"][0][key], dict)]
    heads = [f"fall, {name} (n = {measured['instances'][0][name]['n']:,})" for name in sets]
    ours = [[f"`{row['id']}`", f"{row['share']:.3f}", *_falls(row, sets)] for row in measured["instances"]]
    theirs = [
        [row["network"], str(row["input"]), f"{row['share']:.3f}", *_falls(row, sets), *_lead(row)]
        for row in measured["separate"]
    ]
    return "\n".join(
        [
            f"# {measured['family']} beside separate networks\n",
            sentence(measured) + "\n",
            f"![fall in top-1 against share of FLOPs]({measured['stem']}.png)\n",
            "Falls are from the family's `full`, in points of top-1 on the same pictures, with 95 % intervals for\n"
            "paired pictures; shares are of the FLOPs of `full`. Separate networks are as published, at several sizes\n"
            "of their input; lead is how many points one is above the best instance that costs no more.\n",
            "## Instances\n",
            table(["instance", "share", *heads], ours),
            "## Separate networks\n",
            table(["network", "input", "share", *heads, "instance", "lead"], theirs),
            f"`bench/separate.py`, version {measured['version']}, commit {measured['commit']} ([raw]({link})).\n",
        ]
    )


def _falls(row: dict[str, Any], sets: Sequence[str]) -> list[str]:
    return [_points(row[name]["fall"], row[name]["interval"]) for name in sets]


def _lead(row: dict[str, Any]) -> list[str]:
    return [f"`{row['beside']}`", _points(row["lead"], row["interval"])] if "lead" in row else ["", ""]


def _points(value: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def write_separate(measured: dict[str, Any], pages: Path, link: str) -> None:
    """Write the page and the plot into the folder of pages."""
    (pages / f"{measured['stem']}.md").write_text(separate_page(measured, link))
    plot_separate(pages / f"{measured['stem']}.png", measured)
