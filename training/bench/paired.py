"""Measures how far each instance of a family falls from a reference network, on the same labelled pictures.

    python bench/paired.py ../models/new --reference ../models/imagenet1k --classes adapters/imagenet1k-classes.txt \
        --folder ten-classes-val --listed nips2017/images nips2017/images.csv --out results/paired-imagenet1k.json

The reference is `full` of a family, such as the original network before all weights were trained. A fall is the
difference in top-1 in points, above 0 if the reference is better, with a 95 % interval for paired pictures: only those
that one of the two answers rightly count. It is given for each set and for all together. Families are finished before,
so nothing is chosen by these figures; open the sets once for each family that is published.

--folder DIR has pictures in folders of their classes. --listed DIR FILE has a CSV file with columns ImageId and
TrueLabel, which counts classes from 1, as the NIPS 2017 competition on adversarial examples has it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from reference import classes_of
from torch import Tensor

from sdpoint.config import DataConfig
from sdpoint.data import load_pictures
from sdpoint.export.manifest import FILE
from sdpoint.export.runtime import DESCRIPTION, open_session, run_session
from sdpoint.photos import DataError
from sdpoint.run import commit, progress, write_atomically
from sdpoint.stream import PictureFiles

NORMAL = 1.959964  # 97.5 % quantile of the standard normal distribution


@dataclass(frozen=True)
class Labelled:
    """A set of labelled pictures. labels: [n] int64."""

    name: str
    files: tuple[str, ...]
    labels: Tensor


def in_folders(folder: Path, classes: tuple[str, ...]) -> Labelled:
    """`<folder>/<class>/*`. Raises DataError if there is another class."""
    split = load_pictures(folder, DataConfig(loading="stream")).expect_classes(classes)
    return Labelled(folder.name, tuple(str(folder / file) for file in split.files), split.labels)


def listed(folder: Path, table: Path, classes: int) -> Labelled:
    """The pictures of a CSV file. Raises DataError if one is missing or has a label that is none of the classes."""
    with table.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [(row["ImageId"], int(row["TrueLabel"]) - 1) for row in csv.DictReader(file)]
    names = {path.stem: str(path) for path in folder.iterdir()}
    if missing := [name for name, _ in rows if name not in names]:
        raise DataError(f"{folder} lacks {missing[0]} and {len(missing) - 1} others of {table}")
    if wrong := [label for _, label in rows if not 0 <= label < classes]:
        raise DataError(f"{table} has label {wrong[0] + 1}; there are {classes} classes")
    labels = torch.tensor([label for _, label in rows])
    return Labelled(folder.parent.name, tuple(names[name] for name, _ in rows), labels)


def right_of(family: Path, ids: Sequence[str] | None, sets: Sequence[Labelled]) -> dict[str, list[Tensor]]:
    """By id of each float32 instance, for each set which pictures it answers rightly, [n] bool. ids: None: all."""
    manifest = json.loads((family / FILE).read_text())
    resize = manifest["input"]["resize"]
    rule = DataConfig(size=resize["crop"], resize=resize["size"], kernel=resize["kernel"], workers=2)
    images = [PictureFiles(part.files, rule).in_memory() for part in sets]
    chosen = [i for i in manifest["instances"] if i["precision"] == "float32" and (ids is None or i["id"] in ids)]
    result = {}
    for instance in progress(chosen, family.name):
        session = open_session(family / instance["file"])
        answers = [run_session(session, seen).argmax(1) for seen in images]
        result[instance["id"]] = [given == part.labels for given, part in zip(answers, sets, strict=True)]
    return result


def fall(reference: Tensor, right: Tensor) -> dict[str, Any]:
    """The fall from the reference, in points. reference, right: [n] bool, which pictures each answers rightly.

    lost, gained: pictures that only the reference, only the other one answers rightly. The interval is Wald's for the
    difference of paired shares, with one picture more in `lost` and in `gained` (Bonett & Price 2012).
    """
    n, lost, gained = len(right), int((reference & ~right).sum()), int((~reference & right).sum())
    p, q = (lost + 1) / (n + 2), (gained + 1) / (n + 2)
    half = NORMAL * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    low, high = (100 * max(-1.0, min(1.0, p - q + sign * half)) for sign in (-1, 1))
    return {
        "n": n,
        "correct": int(right.sum()),
        "lost": lost,
        "gained": gained,
        "fall": round(100 * (lost - gained) / n, 2),
        "interval": [round(low, 2), round(high, 2)],
    }


def figures_of(reference: Sequence[Tensor], right: Sequence[Tensor], sets: Sequence[Labelled]) -> dict[str, Any]:
    """The fall from the reference for each set, and for `all` together. reference, right: for each set [n] bool."""
    figures = {part.name: fall(a, b) for part, a, b in zip(sets, reference, right, strict=True)}
    return figures | {"all": fall(torch.cat(list(reference)), torch.cat(list(right)))}


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The options for labelled pictures and for the result."""
    parser.add_argument("--classes", type=Path, help="the folder of each class, first in its line; default: the labels")
    parser.add_argument("--folder", type=Path, action="append", default=[])
    parser.add_argument("--listed", type=Path, nargs=2, action="append", default=[], metavar=("DIR", "FILE"))
    parser.add_argument("--out", type=Path, required=True)


def read_sets(parser: argparse.ArgumentParser, args: argparse.Namespace, classes: tuple[str, ...]) -> list[Labelled]:
    """The sets of labelled pictures that the options name. Ends the program if there is none."""
    sets = [in_folders(folder, classes) for folder in args.folder]
    sets += [listed(folder, table, len(classes)) for folder, table in args.listed]
    if not sets:
        parser.error("no pictures: give --folder or --listed")
    return sets


def compare(family: Path, reference: Path, sets: Sequence[Labelled]) -> dict[str, Any]:
    """Figures of every instance of the family, the cheapest first, for each set and for `all`."""
    text = (family / FILE).read_bytes()
    manifest = json.loads(text)
    flops = {i["id"]: i["flops"] for i in manifest["instances"]}
    (original,) = right_of(reference, ["full"], sets).values()
    rows = []
    for id, right in right_of(family, None, sets).items():
        rows.append({"id": id, "share": round(flops[id] / flops["full"], 4), **figures_of(original, right, sets)})
    own = {part.name: int(right.sum()) for part, right in zip(sets, original, strict=True)}
    return {
        "family": family.name,
        "version": hashlib.sha256(text).hexdigest()[:12],
        "reference": {"family": reference.name, "instance": "full", "correct": own},
        "instances": sorted(rows, key=lambda row: row["share"]),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("--reference", type=Path, required=True, help="a family; its full is the reference")
    add_sets(parser)
    args = parser.parse_args(argv)
    sets = read_sets(parser, args, classes_of(args.family, args.classes))
    head = {"bench": "paired", "commit": commit(), "runtime": DESCRIPTION}
    result = head | compare(args.family, args.reference, sets)
    write_atomically(args.out, lambda temporary: temporary.write_text(json.dumps(result, indent=1) + "\n"))
    for row in result["instances"]:
        low, high = row["all"]["interval"]
        print(f"{row['id']} {row['share']:.3f}: {row['all']['fall']:+.2f} ({low:+.2f} to {high:+.2f})", file=sys.stderr)


if __name__ == "__main__":
    main()
