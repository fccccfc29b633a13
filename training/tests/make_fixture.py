"""Writes the tiny family for the tests of the service: python tests/make_fixture.py OUT [--int8]

It runs all steps on generated pictures: a few seconds of training, calibration, export.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import torch
import yaml
from pictures import write_pictures

from sdpoint.cli import main

if torch.backends.cpu.get_cpu_capability() == "AVX2":
    # Its 1x1 convolutions with a stride write past a buffer when they learn from fewer than 8 channels, as toys do
    # (uxlfoundation/oneDNN#6035, in torch 2.13). oneDNN reads this when it is first used.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX")

SIZE = 16
CONFIG = {
    "data": {"name": "stripes", "size": SIZE, "held_out": 90},
    "model": {"depth": 10, "width": 1, "base": 4},
    "train": {
        "epochs": 20,
        "batch": 32,
        "lr": 0.1,
        "pad": 1,
        "cutout": 0,
        "precision": "float32",
        "threads": 1,
        "seed": 6,
    },
}
ABOUT = {
    "description": "For tests only: a network of toy size, trained for seconds on generated stripes.",
    "dataset": "generated stripes (training/tests/pictures.py)",
    "limits": ["Good for nothing but tests: it knows the direction of stripes."],
}


def make_fixture(
    out: Path,
    work: Path,
    pictures: tuple[int, int] = (230, 200),
    overrides: tuple[str, ...] = (),
    options: tuple[str, ...] = (),
) -> None:
    """Write the family to `out`; `work` is a folder for data set and run.

    pictures: number of training and test pictures in each class; overrides: of the configuration; options: of the
    export.
    """
    data, run, config, about = (work / name for name in ("data", "run", "config.yaml", "about.yaml"))
    write_pictures(data, SIZE, *pictures)
    config.write_text(yaml.safe_dump(CONFIG))
    about.write_text(yaml.safe_dump(ABOUT))
    source = ["--data", str(data), "--run", str(run)]
    sets = [word for text in overrides for word in ("--set", text)]
    for command in (
        ["train", "--config", str(config), *sets, *source],
        ["calibrate", *source],
        ["export", *source, "--about", str(about), "--out", str(out), "--replace", *options],
    ):
        if main(command):
            raise SystemExit(f"sdpoint {command[0]} failed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_fixture(Path(sys.argv[1]), Path(folder), options=tuple(sys.argv[2:]))
