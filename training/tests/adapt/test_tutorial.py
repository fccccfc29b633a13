"""Runs the tutorial of training/README.md on generated pictures: a family trained on stripes learns shapes."""

import json
import shlex
import shutil
from pathlib import Path

from adapt.conftest import SHAPES

from sdpoint.cli import main
from sdpoint.export.family import verify_family

README = Path(__file__).parents[2] / "README.md"
FASTER = ["--threads", "1", "--set", "data.workers=0"]  # for tiny pictures


def commands() -> list[list[str]]:
    block = README.read_text().split("<!-- tutorial -->")[1].split("```")[1].removeprefix("sh")
    return [shlex.split(line) for line in block.strip().splitlines()]


def test_a_family_learns_new_classes_and_exports_with_its_dial(made, shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made.family, "models/imagenet1k")
    shutil.copytree(shapes, "mydata")
    for program, *words in commands():
        assert program == "sdpoint"
        assert main(words + (FASTER if words[0] == "adapt" else [])) == 0
    full, *cheaper = json.loads(Path("runs/mydata/evaluation-cross-validation.json").read_text())["instances"]
    assert full["id"] == "full" and full["n"] == 360 and full["top1"] >= 0.7  # a guess: 0.33; 16 features, of stripes
    manifest = verify_family(tmp_path / "models" / "mydata")
    assert manifest["classes"] == 3 and len(manifest["instances"]) == len(cheaper) + 1 == 7
    assert json.loads(Path("models/mydata/labels.json").read_text()) == list(SHAPES)
