import json
import shutil
from dataclasses import replace

import pytest
import torch

from sdpoint.adapt import head
from sdpoint.adapt.features import without_classifier
from sdpoint.adapt.head import load_source
from sdpoint.checkpoint import load_calibrated, save_calibrated
from sdpoint.cli import main
from sdpoint.config import SystemConfig
from sdpoint.data import Split, load_training
from sdpoint.evaluate import evaluate
from sdpoint.export.load import load_family
from sdpoint.instance import FULL, Instance
from sdpoint.run import Run
from sdpoint.systems import build_system

QUICK = ["--threads", 1, "--set", "data.workers=0"]


def call(*words) -> int:
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def taught(made, shapes, tmp_path_factory) -> Run:
    """A run that taught shapes to the family of stripes. Shared by tests, which do not change it."""
    run = Run(tmp_path_factory.mktemp("taught") / "run")
    assert call("adapt", "--new-head", made.family, "--data", shapes, "--run", run.folder, *QUICK) == 0
    return run


@pytest.mark.parametrize("kind", ["family", "run"])
def test_a_source_is_a_family_or_a_run(made, kind):
    folder = made.family if kind == "family" else made.run.folder
    (source, origin), expected = load_source(folder), load_calibrated(made.run)
    assert (origin is None) == (kind == "run")
    x = torch.randn(2, 3, 16, 16)
    for (name, value), own in zip(source.model.named_parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(value, own), name
    assert source.model(x, FULL).shape == (2, 3) and not source.model.training


def test_all_but_the_classifiers_stay_as_they_were(made, taught):
    source, trained = load_family(made.family), load_calibrated(taught)
    for (name, before), after in zip(source.model.named_parameters(), trained.model.parameters(), strict=True):
        assert name.startswith("fc.") or torch.equal(before, after), name
    for instance in source.instances:
        before, after = (without_classifier(t.statistics[instance.id]) for t in (source, trained))
        assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


def test_every_instance_has_a_classifier_and_a_temperature(taught, shapes):
    trained = load_calibrated(taught)
    part, held_out = load_training(shapes, trained.config.data)
    assert (len(part), len(held_out)) == (360, 0), "classifiers learn from all pictures"
    accuracies = evaluate(trained.model, trained.instances, trained.statistics, part, trained.config.data)
    for id, crossed in trained.crossed.items():
        assert crossed.n == 360 and 0.5 < crossed.correct / 360 <= accuracies[id].top1 + 0.02
        assert 0.5 < crossed.temperature < 2, "of logits of pictures that were left out"
    for id, own in trained.statistics.items():
        assert ("fc.weight" in own) == (id != "full")


def test_evaluate_shows_the_cross_validation(taught, shapes, capsys):
    assert call("evaluate", "--run", taught.folder, "--data", shapes, "--threads", 1) == 0
    written = json.loads((taught.folder / "evaluation-cross-validation.json").read_text())
    crossed = load_calibrated(taught).crossed
    assert {row["id"]: (row["correct"], row["n"]) for row in written["instances"]} == {
        id: (c.correct, c.n) for id, c in crossed.items()
    }
    assert "figures of the cross-validation" in capsys.readouterr().err


def test_where_instances_differ_each_learns_from_its_own_features():
    labels = torch.arange(60) % 3

    def features(id: str) -> torch.Tensor:  # in `full` a class has the centre of another one
        found = torch.randn(60, 10, generator=torch.Generator().manual_seed(len(id)))
        found[torch.arange(60), (labels + (id == "full")) % 3] += 2.0
        return found

    part = Split(labels, labels, ("a", "b", "c"), ("",) * 60)
    fitted = head._fitted([FULL, Instance(1, 0.5)], features, part)
    assert [each.own for each in fitted.values()] == [True, True]


@pytest.mark.parametrize(("most", "own"), [(60, False), (59, True)])
def test_few_pictures_are_learnt_better_from_several_instances(monkeypatch, most, own):
    monkeypatch.setattr(head, "SHARED_MOST", most)
    labels = torch.arange(60) % 3
    part = Split(labels, labels, ("a", "b", "c"), ("",) * 60)
    instances = [FULL, *(Instance(p, 0.5) for p in range(1, 6))]

    def features(id: str) -> torch.Tensor:  # the same centres, and noise that differs
        found = torch.randn(60, 100, generator=torch.Generator().manual_seed(0 if id == "full" else int(id[1:3])))
        found[torch.arange(60), labels] += 1.5
        return found

    fitted = head._fitted(instances, features, part)
    assert {each.own for each in fitted.values()} == {own}
    for id, each in fitted.items():
        assert each.head(features(id)).argmax(1).eq(labels).float().mean() > 0.75  # a guess: 0.33


def test_a_family_keeps_the_classifiers_and_can_be_taught_again(taught, shapes, tmp_path):
    out = tmp_path / "models" / "shapes"
    assert call("export", "--run", taught.folder, "--data", shapes, "--out", out, "--threads", 1) == 0
    exported, trained = load_family(out), load_calibrated(taught)
    for id, own in trained.statistics.items():
        for name in ("fc.weight", "fc.bias"):
            assert (name in own) == (name in exported.statistics[id])
            assert name not in own or torch.equal(own[name], exported.statistics[id][name])
    card = " ".join((out / "README.md").read_text().split())
    own = sum(row["own"] for row in taught.records("taught")[-1]["instances"])
    assert "its own batch norm and classifier" in card and f"{own} of the 7 classifiers learnt from" in card
    assert "Everything was chosen by cross-validation" in card
    manifest = json.loads((out / "manifest.json").read_text())
    temperatures = {i["id"]: i["temperature"] for i in manifest["instances"]}
    assert temperatures == {id: round(c.temperature, 4) for id, c in trained.crossed.items()}
    assert "All other weights are those of the trained network." in card
    words = ["--new-head", out, "--data", shapes, "--run", tmp_path / "again"]
    assert call("adapt", *words, *QUICK) == 0
    again = load_calibrated(Run(tmp_path / "again"))
    torch.testing.assert_close(again.model.fc.weight, trained.model.fc.weight)


def test_fine_tuning_is_kept_only_if_held_out_pictures_improve(made, shapes, tmp_path):
    words = ["adapt", "--new-head", made.family, "--data", shapes, *QUICK, "--epochs", 1]
    words += ["--set", "data.loading=memory", "--set", "train.look_every=0"]
    learnt, frozen = tmp_path / "learnt", tmp_path / "frozen"
    assert call(*words, "--set", "train.lr=0.1", "--run", learnt) == 0
    assert call(*words, "--set", "train.weight_decay=500.0", "--run", frozen) == 0
    for folder, kept in ((learnt, True), (frozen, False)):
        run = Run(folder)
        losses, trained = run.records("taught")[-1]["losses"], load_calibrated(run)
        assert (losses["fineTuned"] < losses["frozen"]) == kept == (trained.epoch == 1)
        source = load_family(made.family).model.stem.weight
        assert torch.equal(trained.model.stem.weight, source) != kept
        assert not (folder / "fine-tuning").exists() and not (folder / "features").exists()


def test_what_cannot_be_taught_is_refused(made, shapes, tmp_path, capsys):
    words = ["adapt", "--new-head", made.family, "--data", shapes, *QUICK]
    assert call(*words, "--run", tmp_path / "run", "--epochs", 1, "--set", "train.batch=400") == 2
    assert "only 300 pictures to train on" in capsys.readouterr().err
    assert call(*words, "--run", tmp_path / "run", "--epochs", -1) == 2
    assert "--epochs is -1" in capsys.readouterr().err
    assert call(*words, "--run", tmp_path / "run", "--epochs", 1, "--set", "data.held_out=0") == 2
    assert "fine-tuning is judged by held-out pictures" in capsys.readouterr().err
    assert call(*words, "--run", tmp_path / "run", "--set", "data.held_out=357") == 2
    assert "class bar has 1 pictures to learn from" in capsys.readouterr().err
    assert call(*words, "--run", made.run.folder) == 2
    assert "holds a run" in capsys.readouterr().err


def test_only_instances_of_a_network_learn_new_classes(made, shapes, tmp_path, capsys):
    run = Run(shutil.copytree(made.run.folder, tmp_path / "scales"))
    trained = load_calibrated(run)
    (run.folder / "checkpoint.pt").unlink()
    config = replace(trained.config, system=SystemConfig(name="scales"))
    save_calibrated(run, replace(trained, config=config, model=build_system(config, 3).build()), {})
    assert call("adapt", "--new-head", run.folder, "--data", shapes, "--run", tmp_path / "run") == 2
    assert "new classes are for instances of a network; scales has others" in capsys.readouterr().err


def test_plain_statistics_do_not_take_the_place_of_classifiers(taught, shapes, capsys):
    before = (taught.folder / "calibrated.pt").read_bytes()
    assert call("calibrate", "--run", taught.folder, "--data", shapes) == 2
    assert "plain statistics do not have its classifiers" in capsys.readouterr().err
    assert (taught.folder / "calibrated.pt").read_bytes() == before


def test_a_killed_one_goes_on_and_keeps_whose_network_it_is(made, shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(shapes)
    words = ["adapt", "--new-head", made.family, "--data", ".", "--run", tmp_path / "run", *QUICK]

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(head, "choose", killed)
        call(*words)
    with monkeypatch.context() as patched:
        patched.setattr("sdpoint.adapt.features.open_session", killed)  # all features are there
        assert call(*words) == 0
    run = Run(tmp_path / "run")
    (taught,) = run.records("taught")
    assert taught["about"]["source"].startswith("tiny (trained from scratch")
    assert taught["about"]["license"] == "Apache-2.0"
    assert (run.folder / "LICENSE").read_text() == (made.family / "LICENSE").read_text()
    assert load_calibrated(run).config.data.name == shapes.name
    _, origin = load_source(run.folder)
    assert origin.about == taught["about"], "also of a run that it was the source of"


def test_a_killed_fine_tuning_goes_on(made, shapes, tmp_path, monkeypatch, capsys):
    words = ["adapt", "--new-head", made.family, "--data", shapes, "--run", tmp_path / "run", *QUICK, "--epochs", 2]
    words += ["--set", "data.loading=memory", "--set", "train.look_every=0"]

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(head, "calibrate", killed)
        call(*words)
    capsys.readouterr()
    assert call(*words, "--set", "train.lr=0.5") == 2
    assert "a run of another configuration" in capsys.readouterr().err
    assert call(*words) == 0
    assert "epoch 1/2" not in capsys.readouterr().err, "both epochs were trained before"


def test_a_run_as_source_gives_what_its_instances_see(made, shapes, tmp_path):
    assert call("adapt", "--new-head", made.run.folder, "--data", shapes, "--run", tmp_path / "run", *QUICK) == 0
    trained, source = load_calibrated(Run(tmp_path / "run")), load_calibrated(made.run)
    for name, value in source.statistics["full"].items():
        assert torch.equal(trained.model.state_dict()[name], value), name
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])["about"] == {}
