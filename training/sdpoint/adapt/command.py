"""The command `sdpoint adapt`: its arguments, and the calls that they lead to."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sdpoint.adapt.adapter import Adapter, load_adapter
from sdpoint.adapt.bulk import BulkRequest, adapt_in_bulk
from sdpoint.adapt.head import load_source, new_head
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.story import EFFECT, Request, adapt
from sdpoint.config import ConfigError
from sdpoint.data import Split, load_pictures
from sdpoint.run import Run, say


def add_arguments(parser: argparse.ArgumentParser, run: bool = True) -> None:
    """run: whether there is an argument for one run folder."""
    if run:
        parser.add_argument("--run", type=Path, required=True, help="a new run folder")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one key")
    parser.add_argument("--threads", type=int, metavar="N", help="default: train.threads")
    trained = parser.add_argument_group("a network that others trained")
    trained.add_argument("--adapter", type=Path, help="YAML that describes it; keys: sdpoint/adapt/adapter.py")
    trained.add_argument(
        "--pictures",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folder of photographs, whose labels do not matter; several only if the adapter has a section distil",
    )
    trained.add_argument("--weights", type=Path, help="its state dict, in place of the adapter's")
    trained.add_argument("--variants", type=int, default=4, help="crops of each picture to distil on; 0: do not distil")
    trained.add_argument("--tunings", type=int, default=1, help="of each instance, on other crops; their mean counts")
    trained.add_argument(
        "--more", action="append", default=[], metavar="ID=K", help="K tunings of this instance, in place of --tunings"
    )
    trained.add_argument("--labelled", type=Path, help="<class>/<photographs> on which top-1 is measured as well")
    trained.add_argument("--most", type=int, default=400, metavar="N", help="of the labelled ones (default 400)")
    bulk = parser.add_argument_group("many pictures (an adapter with section distil; keys: sdpoint/adapt/settings.py)")
    bulk.add_argument("--cache", type=Path, help="folder for decoded pictures and the teacher's answers (runs/cache)")
    bulk.add_argument(
        "--without", action="append", default=[], metavar="PATTERN", help="leave out these paths below the folders"
    )
    bulk.add_argument("--pause-file", type=Path, metavar="FILE", help="stop for as long as this file exists")
    classes = parser.add_argument_group("other classes")
    classes.add_argument("--new-head", type=Path, metavar="FAMILY_OR_RUN", help="whose network learns them")
    classes.add_argument("--data", type=Path, help="image folder: {train,test}/<class>/<pictures>")
    classes.add_argument(
        "--epochs",
        type=int,
        default=0,
        help="of fine-tuning all weights; kept if better on held-out pictures",
    )


def call(args: argparse.Namespace) -> None:
    """Run the command.

    Raises ConfigError if the arguments do not fit together, and the errors of `adapt` and `new_head`.
    """
    if (args.new_head is None) == (args.adapter is None):
        raise ConfigError("give either --adapter with --pictures, or --new-head with --data")
    if args.new_head:
        _new_head(args)
    else:
        _adapt(args)
    say(f"written to {args.run}; next: sdpoint export --run {args.run} --data DATA --out models/NAME")


def _new_head(args: argparse.Namespace) -> None:
    if args.data is None:
        raise ConfigError("--new-head needs --data")
    source, origin = load_source(args.new_head)
    if args.epochs < 0:
        raise ConfigError(f"--epochs is {args.epochs}; expected 0 or more")
    new_head(source, origin, args.data, Run(args.run), _overrides(args), args.epochs)


def _adapt(args: argparse.Namespace) -> None:
    if args.pictures is None:
        raise ConfigError("--adapter needs --pictures")
    adapter = load_adapter(args.adapter, _overrides(args))
    torch.set_num_threads(adapter.config.train.threads)
    labelled = labelled_pictures(args, adapter)
    if adapter.distil:
        adapt_in_bulk(bulk_request(args, adapter, labelled), Run(args.run))
    else:
        if len(args.pictures) > 1:
            raise ConfigError(f"--pictures has {len(args.pictures)} folders; without a section distil one is read")
        more = dict(map(_count, args.more))
        request = Request(adapter, args.pictures[0], args.weights, args.variants, args.tunings, more, labelled)
        adapt(request, Run(args.run))
    say(f"the effect of each step: {args.run / EFFECT}")


def bulk_request(args: argparse.Namespace, adapter: Adapter, labelled: Split | None) -> BulkRequest:
    cache, pause = args.cache or Path("runs/cache"), Pause(args.pause_file)
    return BulkRequest(adapter, adapter.distil, args.pictures, cache, args.without, args.weights, labelled, pause)


def _overrides(args: argparse.Namespace) -> list[str]:
    return [*args.set, *([f"train.threads={args.threads}"] if args.threads else [])]


def _count(text: str) -> tuple[str, int]:
    """Parse ID=K into (instance id, number of tunings). Raises ConfigError."""
    id, _, count = text.partition("=")
    if not count.isdecimal():
        raise ConfigError(f"--more is {text!r}; expected an instance and a number, as in p01-r500=3")
    return id, int(count)


def labelled_pictures(args: argparse.Namespace, adapter: Adapter) -> Split | None:
    """Read up to --most labelled pictures, spread evenly over the folder and so over its classes."""
    if not args.labelled:
        return None
    split = load_pictures(args.labelled, adapter.config.data).expect_classes(adapter.classes)
    if args.most < 1:
        raise ConfigError(f"--most is {args.most}; expected 1 or more")
    return split.subset(torch.arange(len(split))[:: -(-len(split) // args.most)])
