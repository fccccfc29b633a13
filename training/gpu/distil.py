"""Adapts a network on many pictures on a GPU machine that is lent for minutes: README.md beside this file.

    python3 training/gpu/distil.py train ADAPTER --pictures P --run R --seconds S --device cuda    at most S seconds
    python3 training/gpu/distil.py give R --out FOLDER         write the finished run to small files
    python3 training/gpu/distil.py take R --from FOLDER        restore it, for `sdpoint export`

P holds the folders that reduce.py writes: 1, 2, .... `train` first times some steps. All steps of the adapter are done
if they fit into S, or fewer. The same command continues a run that was cut off, with as many steps.

Imports only modules of sdpoint that it needs: packages for the export may be missing on such a machine.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from claim import check_size, read_parts, write_parts

from sdpoint.adapt.adapter import Adapter, load_adapter
from sdpoint.adapt.bulk import BulkRequest, adapt_in_bulk
from sdpoint.adapt.distil import STATE
from sdpoint.adapt.settings import Distil
from sdpoint.adapt.story import EFFECT
from sdpoint.checkpoint import load_calibrated, save_trained
from sdpoint.run import Run, write_atomically

CHECKPOINT = "checkpoint.pt"  # of a finished run; the network of `calibrated.pt` once more
TIMED = 100  # steps; each instance has a slow first one
RESERVE = 0.8  # share of the time left that steps may take: then held-out pictures are measured, as before the steps


def adapt(adapter: Adapter, distil: Distil, pictures: Path, run: Path) -> float:
    """Adapt in the run folder, unless that is done; the cache is beside it. Returns the seconds that the steps took."""
    if not (run / CHECKPOINT).exists():
        folders = sorted((path for path in pictures.iterdir() if path.is_dir()), key=lambda path: int(path.name))
        adapt_in_bulk(BulkRequest(adapter, distil, folders, run.parent / "cache"), Run(run))
    return json.loads((run / EFFECT).read_text())["seconds"]


def train(args: argparse.Namespace) -> None:
    """Time some steps, then do as many of the adapter's as fit. Raises SystemExit if not even the timed ones do."""
    began = time.monotonic()
    adapter = load_adapter(args.adapter, [*args.set, f"train.device={args.device}"])
    if not adapter.distil:
        raise SystemExit(f"{args.adapter} has no section distil: expected an adapter for many pictures")
    plan = beside(args.run, "steps")
    if not plan.exists():
        timed = replace(adapter.distil, steps=min(TIMED, adapter.distil.steps))
        each = adapt(adapter, timed, args.pictures, beside(args.run, "timed")) / timed.steps
        left = args.seconds - (time.monotonic() - began)
        steps = min(adapter.distil.steps, int(RESERVE * left / each))
        print(f"a step takes {1000 * each:.0f} ms; {steps} of {adapter.distil.steps} steps in the {left:.0f} s left")
        if steps < timed.steps:
            raise SystemExit(f"{steps} steps are too few to be of use: give more seconds (--seconds)")
        write_atomically(plan, lambda temporary: temporary.write_text(f"{steps}\n"))
    adapt(adapter, replace(adapter.distil, steps=int(plan.read_text())), args.pictures, args.run)


def beside(run: Path, what: str) -> Path:
    return run.parent / f"{run.name}.{what}"


def give(args: argparse.Namespace) -> None:
    """Write the run in parts, without what `take` makes anew. Raises SystemExit if it is not finished, or too large."""
    if not (args.run / CHECKPOINT).exists():
        raise SystemExit(f"{args.run} holds no finished run")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(args.run.iterdir()):
            if path.name not in (STATE, CHECKPOINT):
                tar.add(path, path.name)
    args.out.mkdir(parents=True, exist_ok=True)
    write_parts(args.out, "run", packed.getbuffer())
    check_size(args.out, args.run.name)


def take(args: argparse.Namespace) -> None:
    """Restore a run from the files that `give` wrote. Raises SystemExit if there are none."""
    packed = read_parts(args.files, "run")
    if not packed:
        raise SystemExit(f"{args.files} holds no parts of a run (run.00, run.01, ...)")
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(args.run, filter="data")
    save_trained(Run(args.run), load_calibrated(Run(args.run)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    trains = commands.add_parser("train")
    trains.add_argument("adapter", type=Path)
    trains.add_argument("--pictures", type=Path, required=True)
    trains.add_argument("--run", type=Path, required=True)
    trains.add_argument("--seconds", type=float, required=True)
    trains.add_argument("--device", default="cuda")
    trains.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one key")
    gives = commands.add_parser("give")
    gives.add_argument("--out", type=Path, required=True)
    takes = commands.add_parser("take")
    takes.add_argument("--from", dest="files", type=Path, required=True)
    for command, call in (trains, train), (gives, give), (takes, take):
        command.set_defaults(call=call)
    for command in gives, takes:
        command.add_argument("run", type=Path)
    args = parser.parse_args(argv)
    args.call(args)


if __name__ == "__main__":
    main()
