"""Training to export with photographs that stay on the disk, and the ImageNet configurations on a tiny data set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from make_fixture import CONFIG
from pictures import write_photos

from sdpoint.calibrate import calibrate, calibration_pictures
from sdpoint.checkpoint import load_calibrated, load_trained
from sdpoint.cli import main
from sdpoint.data import load_training
from sdpoint.run import Run

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photographs of 70 to 110 pixels a side: twelve of each class in `train`, two in `val`."""
    return write_photos(tmp_path_factory.mktemp("photos"), sides=(70, 110), train=12, val=2)


def call(*words) -> int:
    return main([str(word) for word in words])


def test_photographs_on_the_disk_become_a_family(photos, tmp_path):
    config, run, family = tmp_path / "config.yaml", tmp_path / "run", tmp_path / "family"
    data = CONFIG["data"] | {"resize": 20, "loading": "stream", "workers": 1, "held_out": 6}
    train = CONFIG["train"] | {"epochs": 2, "batch": 8, "look_every": 2}
    config.write_text(yaml.safe_dump(CONFIG | {"data": data, "train": train}))
    source = ["--data", photos, "--run", run]
    assert call("train", "--config", config, *source) == 0
    assert call("calibrate", *source) == 0
    assert call("evaluate", *source) == 0
    assert call("export", *source, "--out", family) == 0
    assert json.loads((family / "manifest.json").read_text())["instances"][0]["n"] == 6
    trained = load_calibrated(Run(run))  # memory gives the same statistics
    part, _ = load_training(photos, replace(trained.config.data, loading="memory"))
    again = calibrate(trained.model, trained.instances[:2], calibration_pictures(part), trained.config.data)
    for id, statistics in again.items():
        assert all(torch.equal(value, trained.statistics[id][name]) for name, value in statistics.items())


RECIPES = {
    "imagenet-preresnet-101": ("model.depth=18",),
    "imagenet-resnext-101": ("model.depth=50", "model.cardinality=2", "model.width=2"),
}
SMALL = ("data.size=64", "data.resize=72", "data.held_out=3", "data.workers=1", "train.batch=8", "train.threads=1")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_for_imagenet_train_a_few_steps_of_a_shallower_network(photos, tmp_path, recipe):
    short = ("train.epochs=2", "train.milestones=[1]", "train.precision=float32")
    sets = [word for text in (*RECIPES[recipe], *SMALL, *short) for word in ("--set", text)]
    source = ["--data", photos, "--run", tmp_path]
    assert call("train", "--config", CONFIGS / f"{recipe}.yaml", *sets, *source) == 0
    assert load_trained(Run(tmp_path)).epoch == 2
    assert [e["lr"] for e in Run(tmp_path).records("epoch")] == pytest.approx([0.1, 0.01])
