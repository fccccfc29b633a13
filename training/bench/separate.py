"""Compares a family with separate networks, each at several sizes of its input, on the same labelled pictures.

    python bench/separate.py ../models/imagenet1k --classes adapters/imagenet1k-classes.txt \
        --networks adapters/efficientnet-lite0.yaml adapters/efficientnet-lite1.yaml adapters/efficientnet-lite2.yaml \
        --folder ten-classes-val --listed nips2017/images nips2017/images.csv --out results/separate-imagenet1k.json

A separate network is an adapter's, as it was published. At a smaller input it sees the same part of each picture,
reduced further; INPUTS are shares of the length of its own input's side. Costs are shares of the FLOPs of the family's
`full`, and falls are from `full`, in points of top-1 (`bench/paired.py`, also for the options and the intervals).

For each separate network within LEAST and MOST of that cost, `beside` is the best instance of the family that costs no
more, by right answers on all sets together; `lead` is how much more the separate network has right, in points.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from paired import Labelled, add_sets, fall, figures_of, read_sets, right_of
from reference import classes_of
from torch import Tensor

from sdpoint.adapt.adapter import Adapter, load_adapter
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.config import DataConfig
from sdpoint.export.graph import build_graph
from sdpoint.export.manifest import FILE
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import whole_model
from sdpoint.flops import network_flops
from sdpoint.instance import FULL
from sdpoint.models import Network
from sdpoint.run import commit, progress, versions, write_atomically
from sdpoint.stream import PictureFiles

INPUTS = (1.0, 0.85, 0.7, 0.57)
LEAST, MOST = 0.25, 1.0  # of the family's full: beyond them no separate network is compared


def reduced(data: DataConfig, share: float) -> DataConfig:
    """The input with its sides multiplied by `share`: the same part of a picture, in fewer pixels."""
    return replace(data, size=round(share * data.size), resize=round(share * data.resize))


def right_answers(network: Network, classes: int, data: DataConfig, sets: Sequence[Labelled]) -> list[Tensor]:
    """For each set, which pictures the network answers rightly with this input: [n] bool."""
    graph = build_graph(network, trained_statistics(network), FULL, data)
    session = open_session(whole_model("full", graph, data.size, classes).SerializeToString())
    return [run_session(session, PictureFiles(p.files, data).in_memory()).argmax(1) == p.labels for p in sets]


def beside(share: float, right: Tensor, family: Sequence[dict[str, Any]], answers: dict[str, Tensor]) -> dict[str, Any]:
    """The best instance that costs no more than `share`, and how far a separate network is above it.

    right: [n] bool, of the separate network; family: rows with id, share and `all`; answers: id -> [n] bool.
    """
    affordable = [row for row in family if row["share"] <= share]
    if not affordable:
        return {}
    best = max(affordable, key=lambda row: row["all"]["correct"])
    lead = fall(right, answers[best["id"]])
    return {"beside": best["id"], "lead": lead["fall"], "interval": lead["interval"]}


def compare(family: Path, adapters: Sequence[Adapter], inputs: Sequence[float], sets: Sequence[Labelled]) -> dict:
    """Figures of the family's instances and of the separate networks, the cheapest first."""
    text = (family / FILE).read_bytes()
    manifest = json.loads(text)
    flops = {i["id"]: i["flops"] for i in manifest["instances"]}
    right = right_of(family, None, sets)
    full = right["full"]
    instances = [
        {"id": id, "share": round(flops[id] / flops["full"], 4), **figures_of(full, own, sets)}
        for id, own in right.items()
    ]
    answers = {id: torch.cat(own) for id, own in right.items()}
    separate = []
    networks = [(adapter.config, adapter.load(), len(adapter.classes)) for adapter in adapters]
    pairs = [(network, share) for network in networks for share in inputs]
    for (config, network, classes), share in progress(pairs, "separate networks"):
        data = replace(reduced(config.data, share), workers=1)
        cost = network_flops(config.model, classes, data.size) / flops["full"]
        own = right_answers(network, classes, data, sets)
        row = {"network": network.name, "input": data.size, "share": round(cost, 4), **figures_of(full, own, sets)}
        if LEAST <= cost <= MOST:
            row |= beside(cost, torch.cat(own), instances, answers)
        separate.append(row)
    return {
        "family": family.name,
        "version": hashlib.sha256(text).hexdigest()[:12],
        "instances": sorted(instances, key=lambda row: row["share"]),
        "separate": sorted(separate, key=lambda row: row["share"]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("--networks", type=Path, nargs="+", required=True, metavar="ADAPTER")
    parser.add_argument("--inputs", type=float, nargs="+", default=INPUTS)
    add_sets(parser)
    args = parser.parse_args(argv)
    sets = read_sets(parser, args, classes_of(args.family, args.classes))
    result = compare(args.family, [load_adapter(path) for path in args.networks], args.inputs, sets)
    result = {"bench": "separate", "commit": commit(), "versions": versions(), **result}
    write_atomically(args.out, lambda temporary: temporary.write_text(json.dumps(result, indent=1) + "\n"))
    for row in result["separate"]:
        found = f"{row['lead']:+.2f} against {row['beside']}" if "lead" in row else "not compared"
        print(f"{row['network']} at {row['input']}, {row['share']:.3f}: {found}", file=sys.stderr)


if __name__ == "__main__":
    main()
