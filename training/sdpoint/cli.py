"""The command: sdpoint train | calibrate | evaluate | export | info."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdpoint.config import Config, ConfigError, load_config
from sdpoint.data import DataError, hold_out, load_split
from sdpoint.run import Run, say


def _config(args: argparse.Namespace) -> Config:
    return load_config(args.config, args.set)


def _train(args: argparse.Namespace) -> None:
    from sdpoint.train import train

    config = _config(args)
    everything = load_split(args.data, "train", config.data.size)
    part, held_out = hold_out(everything, config.data.held_out, seed=0)
    say(f"{len(part)} pictures to train on, {len(held_out)} held out, {len(part.classes)} classes")
    train(config, part, held_out, Run(args.run), args.resume)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sdpoint", description=__doc__)
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train a network with stochastic downsampling")
    train.add_argument("--config", type=Path, required=True)
    train.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    train.add_argument("--data", type=Path, required=True)
    train.add_argument("--run", type=Path, required=True)
    train.add_argument("--resume", action="store_true")
    train.set_defaults(call=_train)
    args = parser.parse_args(argv)
    try:
        args.call(args)
    except (ConfigError, DataError, FileExistsError, FileNotFoundError) as error:
        print(f"sdpoint: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
