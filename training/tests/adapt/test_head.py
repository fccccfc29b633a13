"""New classes on a generated set of shapes, from networks that know the direction of stripes."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from sdpoint.adapt.head import features_of, fit_classifier, load_source
from sdpoint.checkpoint import load_calibrated
from sdpoint.cli import main
from sdpoint.config import DataConfig
from sdpoint.data import normalise
from sdpoint.export.family import verify_family
from sdpoint.instance import FULL
from sdpoint.run import Run

SIZE = 16
SHAPES = {
    "bar": lambda x, y: (abs(y) < 1.5) & (abs(x) < 6),
    "cross": lambda x, y: ((abs(x) < 1.5) | (abs(y) < 1.5)) & (abs(x) < 6) & (abs(y) < 6),
    "disc": lambda x, y: x * x + y * y < 30,
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """`{train,test}/<shape>/*.png`: 120 and 20 of each, of any colour, anywhere near the middle."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("shapes")
    for part, count in (("train", 120), ("test", 20)):
        for name, inside in SHAPES.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + random.uniform(-2, 2, (2, 1, 1))
                picture = np.where(inside(x, y)[..., None], random.uniform(0.6, 1, 3), random.uniform(0, 0.4, 3))
                noisy = (picture + random.normal(0, 0.05, picture.shape)).clip(0, 1)
                Image.fromarray((noisy * 255).astype(np.uint8)).save(folder / f"{index}.png")
    return root


def call(*words) -> int:
    return main([str(word) for word in words])


def test_a_family_learns_new_classes_and_exports_with_its_dial(made, shapes, tmp_path):
    run, out = tmp_path / "run", tmp_path / "models" / "shapes"
    words = ["--set", "train.epochs=12", "--set", "train.lr=0.1", "--threads", 1]
    assert call("adapt", "--new-head", made.family, "--data", shapes, "--run", run, *words) == 0
    assert call("evaluate", "--run", run, "--data", shapes) == 0
    full, *cheaper = json.loads((run / "evaluation-held-out.json").read_text())["instances"]
    assert full["id"] == "full" and full["n"] == 60 and full["top1"] >= 0.95
    assert call("export", "--run", run, "--data", shapes, "--out", out) == 0
    manifest = verify_family(out)
    assert manifest["classes"] == 3 and len(manifest["instances"]) == len(cheaper) + 1 == 7
    assert json.loads((out / "labels.json").read_text()) == list(SHAPES)


@pytest.mark.parametrize("kind", ["family", "run", "run that is not calibrated"])
def test_a_source_is_a_family_or_a_run(made, tmp_path, kind):
    folder = made.family
    if kind != "family":
        folder = shutil.copytree(made.run.folder, tmp_path / "run")
    if kind == "run that is not calibrated":
        (folder / "calibrated.pt").unlink()
    source, expected = load_source(folder), load_calibrated(made.run)
    x = torch.randn(2, 3, SIZE, SIZE)
    for (name, value), own in zip(source.model.named_parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(value, own), name
    assert source.model(x, FULL).shape == (2, 3) and not source.model.training


def test_features_are_what_the_classifier_of_full_sees(model, images):
    data = DataConfig(size=SIZE)
    with torch.no_grad():
        logits = model.fc(features_of(model, images, data))
        torch.testing.assert_close(logits, model(normalise(images, data), FULL))


def test_a_classifier_is_fitted_whatever_the_scale_of_the_features():
    labels = torch.arange(60) % 3
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    features[torch.arange(60), labels] += 6
    for scale in (1e-3, 1e3):
        layer = fit_classifier(features * scale + 7 * scale, labels, 3)
        assert (layer(features * scale + 7 * scale).argmax(1) == labels).all()


def test_too_few_pictures_and_a_run_that_exists_are_refused(made, shapes, tmp_path, capsys):
    words = ["adapt", "--new-head", made.family, "--data", shapes]
    assert call(*words, "--run", tmp_path / "run", "--set", "train.batch=400") == 2
    assert "only 300 pictures to train on" in capsys.readouterr().err
    run = Run(shutil.copytree(made.run.folder, tmp_path / "exists"))
    assert call(*words, "--run", run.folder) == 2
    assert "holds a run" in capsys.readouterr().err
