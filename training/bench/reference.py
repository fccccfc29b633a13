"""Writes a reference: the answers of every exported graph to each picture of a test part, by onnxruntime in Python.

    python bench/reference.py ../models/cifar10 ../data/cifar10 > ../bench/reference/cifar10.json
    python bench/reference.py ../models/imagenet1k DATA --classes adapters/imagenet1k-classes.txt

bench/accuracy of the service compares its answers with this file picture by picture, and the load benches take pictures
and labels from it. The family is finished before, so nothing is chosen by these answers.

The number of right answers of each float32 instance must be that of the manifest, or this fails. For int8 instances a
difference is only printed: their kernels, and so their answers, depend on the processor, and one or two answers have
differed on the same processor, for an unknown reason.

In the output, `labels` are the true classes as indices, and `margins` the best logit less the second.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from sdpoint.config import DataConfig
from sdpoint.data import load_split
from sdpoint.export.manifest import FILE
from sdpoint.export.runtime import DESCRIPTION, open_session, run_session
from sdpoint.run import progress

# Best logit less the second. A hundred times what counts as a near tie: beyond it runtimes do not differ by rounding.
SMALL_MARGIN = 0.1


def by_folder(files: Sequence[str], labels: Sequence[int]) -> list[dict[str, Any]]:
    """Neighbours of one folder and label together, in the same order."""

    def place(picture: tuple[str, int]) -> tuple[str, int]:
        return picture[0].rpartition("/")[0], picture[1]

    return [
        {"folder": folder, "label": label, "files": [file.rpartition("/")[2] for file, _ in group]}
        for (folder, label), group in groupby(zip(files, labels, strict=True), key=place)
    ]


def out_of_the_ordinary(predicted: Sequence[int], margins: Sequence[float], labels: Sequence[int]) -> dict[str, Any]:
    """Wrong answers and small margins, by the place of the picture."""
    pairs = enumerate(zip(predicted, labels, strict=True))
    return {
        "wrong": {place: answer for place, (answer, label) in pairs if answer != label},
        "margins": {place: float(f"{m:.2g}") for place, m in enumerate(margins) if m < SMALL_MARGIN},
    }


def classes_of(family: Path, listed: Path | None) -> tuple[str, ...]:
    """Folder names of the classes, in the order of the logits.

    listed: file with a name first in each line; None: the labels.
    """
    if listed is None:
        return tuple(json.loads((family / "labels.json").read_text()))
    return tuple(line.split()[0] for line in listed.read_text().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--classes", type=Path, help="the folder of each class, first in its line; default: the labels")
    parser.add_argument("--instances", nargs="+", metavar="ID", help="only these; default: all")
    args = parser.parse_args()
    text = (args.family / FILE).read_bytes()
    manifest = json.loads(text)
    resize = manifest["input"]["resize"]
    rule = DataConfig(size=resize["crop"], resize=resize["size"], kernel=resize["kernel"])
    test = load_split(args.data, "test", rule).expect_classes(classes_of(args.family, args.classes))
    labels = test.labels.tolist()
    instances = {}
    asked = [i for i in manifest["instances"] if args.instances is None or i["id"] in args.instances]
    for instance in progress(asked, "reference"):
        logits = run_session(open_session(args.family / instance["file"]), test.images)
        best = logits.topk(2, dim=1)
        correct = int((best.indices[:, 0] == test.labels).sum())
        if len(test) == instance["n"] and correct != instance["correct"]:
            differs = f"{instance['id']}: {correct} correct, the manifest says {instance['correct']}"
            if instance["precision"] == "float32":
                raise SystemExit(differs)
            print(f"{differs}; int8 is not repeatable to the picture", file=sys.stderr)
        margins = (best.values[:, 0] - best.values[:, 1]).tolist()
        instances[instance["id"]] = out_of_the_ordinary(best.indices[:, 0].tolist(), margins, labels)
    version = hashlib.sha256(text).hexdigest()[:12]
    head = {"model": manifest["name"], "modelVersion": version, "runtime": DESCRIPTION, "torch": torch.__version__}
    json.dump(
        {**head, "folders": by_folder(test.files, labels), "instances": instances},
        sys.stdout,
        separators=(",", ":"),
    )
    print()


if __name__ == "__main__":
    main()
