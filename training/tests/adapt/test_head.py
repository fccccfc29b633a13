import shutil

import pytest
import torch

from sdpoint.adapt import head
from sdpoint.adapt.head import features_of, fit_classifier, load_source
from sdpoint.checkpoint import load_calibrated
from sdpoint.cli import main
from sdpoint.config import DataConfig
from sdpoint.data import load_split, normalise
from sdpoint.instance import FULL
from sdpoint.run import Run


def call(*words) -> int:
    return main([str(word) for word in words])


@pytest.mark.parametrize("kind", ["family", "run", "run that is not calibrated"])
def test_a_source_is_a_family_or_a_run(made, tmp_path, kind):
    folder = made.family
    if kind != "family":
        folder = shutil.copytree(made.run.folder, tmp_path / "run")
    if kind == "run that is not calibrated":
        (folder / "calibrated.pt").unlink()
    (source, origin), expected = load_source(folder), load_calibrated(made.run)
    assert (origin is None) == (kind != "family")
    x = torch.randn(2, 3, 16, 16)
    for (name, value), own in zip(source.model.named_parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(value, own), name
    assert source.model(x, FULL).shape == (2, 3) and not source.model.training


def test_features_are_what_the_classifier_of_full_sees(model, images):
    data = DataConfig(size=16)
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
    (run.folder / "calibrated.pt").unlink()
    assert call(*words, "--run", run.folder) == 2
    assert "a run of another configuration" in capsys.readouterr().err


def test_a_killed_one_goes_on_and_keeps_whose_network_it_is(made, shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(shapes)
    words = ["adapt", "--new-head", made.family, "--data", ".", "--run", tmp_path / "run", "--threads", 1]
    words += ["--set", "train.epochs=1"]

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(head, "train", killed)
        call(*words)
    assert call(*words) == 0
    run = Run(tmp_path / "run")
    (taught,) = run.records("taught")
    assert (
        taught["about"]["source"].startswith("tiny (trained from scratch")
        and taught["about"]["license"] == "Apache-2.0"
    )
    assert (run.folder / "LICENSE").read_text() == (made.family / "LICENSE").read_text()
    assert load_calibrated(run).config.data.name == shapes.name
    _, origin = load_source(run.folder)
    assert origin.about == taught["about"], "also of a run that it was the source of"


def test_a_run_as_source_gives_what_full_sees(made, shapes):
    source, config = load_calibrated(made.run), load_calibrated(made.run).config
    model = head.with_new_classifier(source, load_split(shapes, "train", DataConfig(size=16)), config)
    for name, value in source.statistics["full"].items():
        assert torch.equal(model.state_dict()[name], value), name
