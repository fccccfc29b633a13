"""Compares settings of `sdpoint adapt` on many pictures, with equal steps, by agreement on held-out pictures.

    python bench/screening.py configs/adapt/screening.yaml --pictures DIR ... --labelled DIR --cache DIR --runs DIR \
        --out results/adapt-screening.jsonl

A list names an adapter, keys to set, and runs with keys of their own. The results are JSON lines, one for each run,
with the figures of every instance. Runs that have a line are skipped, and a run that was killed goes on where it was:
the same command continues an interrupted screening. Names after the list select some of its runs, so that two calls
with different names share the work between two processes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdpoint.adapt.adapter import Adapter, load_adapter
from sdpoint.adapt.bulk import adapt_in_bulk
from sdpoint.adapt.command import add_arguments, bulk_request, labelled_pictures
from sdpoint.adapt.story import EFFECT
from sdpoint.config import ConfigError, load_yaml, typed
from sdpoint.run import Run, say


@dataclass(frozen=True)
class _Setting:
    """An entry of `runs`."""

    name: str = ""
    set: tuple[str, ...] = ()  # texts section.key=value, as for `sdpoint adapt --set`


@dataclass(frozen=True)
class _List:
    """The keys of a list's YAML file."""

    adapter: str = ""  # relative to the list
    set: tuple[str, ...] = ()
    runs: tuple[Any, ...] = ()


def load_list(path: Path, overrides: Sequence[str] = ()) -> dict[str, tuple[Adapter, tuple[str, ...]]]:
    """The adapter of each run by its name, and the keys that only this run sets. Raises ConfigError."""
    listed = typed(_List, load_yaml(path))
    settings = [typed(_Setting, raw, "runs.") for raw in listed.runs]
    names = [setting.name for setting in settings]
    if not names or len(set(names)) < len(names) or not all(names):
        raise ConfigError(f"{path}: runs are {names}; expected at least one, each with a name of its own")
    where = path.parent / listed.adapter
    return {s.name: (load_adapter(where, [*listed.set, *s.set, *overrides]), s.set) for s in settings}


def finished(out: Path) -> dict[str, dict[str, Any]]:
    """The results so far, by name of the run."""
    lines = out.read_text().splitlines() if out.exists() else []
    return {line["name"]: line for line in map(json.loads, lines)}


def screen(args: argparse.Namespace) -> None:
    """Do the runs that have no result yet. Raises ConfigError if one of the names is not in the list."""
    runs = load_list(args.list, args.set)
    if unknown := sorted(set(args.names) - set(runs)):
        raise ConfigError(f"{args.list} has no run {unknown[0]}; there are {list(runs)}")
    for name, (adapter, own) in runs.items():
        if (args.names and name not in args.names) or name in finished(args.out):
            continue
        say(f"run {name}")
        run = Run(args.runs / name)
        if not (run.folder / "checkpoint.pt").exists():
            adapt_in_bulk(bulk_request(args, adapter, labelled_pictures(args, adapter)), run)
        effect = json.loads((run.folder / EFFECT).read_text())
        kept = ("network", "commit", "versions", "distil", "pictures", "heldOut", "seconds", "instances")
        line = {"name": name, "set": list(own), **{key: effect[key] for key in kept}}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("names", nargs="*", help="of runs; default: all")
    parser.add_argument("--runs", type=Path, required=True, help="for a run folder of each run")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines")
    add_arguments(parser, run=False)
    screen(parser.parse_args(argv))


if __name__ == "__main__":
    main()
