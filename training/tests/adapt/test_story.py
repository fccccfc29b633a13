"""Adapts and exports a ResNet with torchvision's names and random weights."""

import json
import shutil
from argparse import Namespace
from dataclasses import replace

import pytest
import torch
from pictures import CLASSES
from PIL import Image

from sdpoint.adapt import story
from sdpoint.adapt.story import EFFECT, divided
from sdpoint.adapt.tune import own_parameters
from sdpoint.checkpoint import load_calibrated
from sdpoint.cli import _training_of, main
from sdpoint.data import load_training
from sdpoint.evaluate import logits_of
from sdpoint.export.family import verify_family
from sdpoint.export.load import load_family
from sdpoint.instance import Instance
from sdpoint.models.network import norm_layers_before
from sdpoint.precision import chosen
from sdpoint.run import Run


def call(*words) -> int:
    return main([str(word) for word in words])


def test_an_adapted_network_exports_as_a_family_and_full_stays_the_original(adapted, resnet18, tmp_path, capsys):
    out = tmp_path / "models" / "adapted"
    words = ["export", "--run", adapted.run.folder, "--data", adapted.photographs, "--out", out]
    assert call(*words) == 2
    assert "others trained these weights" in capsys.readouterr().err
    assert call(*words, "--about", adapted.about) == 0
    manifest = verify_family(out)
    assert manifest["source"] == "nobody, random weights"
    card = " ".join((out / "README.md").read_text().split())
    assert (
        "distilled from the answers" in card
        and "Nothing was chosen by it" in card
        and "random weights, seed" not in card
    )
    assert manifest["input"]["resize"] == {"size": 72, "crop": 64, "kernel": "linear", "alpha": "white"}
    assert [i["id"] for i in manifest["instances"]] == ["full", "p01-r500", "p01-r750", "p04-r500", "p04-r750"]
    assert manifest["architecture"] == "resnet-imagenet-18"
    trained = load_calibrated(adapted.run)
    assert torch.equal(trained.model.stem.conv.weight, resnet18["conv1.weight"])
    assert torch.equal(trained.statistics["full"]["blocks.7.bn2.running_var"], resnet18["layer4.1.bn2.running_var"])
    again = load_family(out)  # the family holds all that the run does
    images = load_training(adapted.photographs, trained.config.data)[1].images
    for instance in trained.instances:
        expected, got = (
            logits_of(t.model, instance, t.statistics[instance.id], images, t.config.data) for t in (trained, again)
        )
        assert torch.equal(got, expected)


def test_instances_have_their_own_only_behind_their_point(adapted):
    trained = load_calibrated(adapted.run)
    full, weights = trained.statistics["full"], dict(trained.model.named_parameters())
    assert not set(full) & set(weights)
    for id in ("p01-r500", "p04-r750"):
        instance, own = Instance(int(id[1:3]), int(id[-3:]) / 1000), trained.statistics[id]
        shared = norm_layers_before(trained.model, instance.p)
        assert shared and all(torch.equal(full[f"{n}.running_mean"], own[f"{n}.running_mean"]) for n in shared)
        tuned = set(own) & set(weights)
        assert tuned == set(own_parameters(trained.model, instance)) and not any(n.startswith("stem.") for n in tuned)
        assert any(not torch.equal(own[name], weights[name]) for name in tuned)


def test_the_effect_of_every_step_is_counted(adapted):
    effect = json.loads((adapted.run.folder / EFFECT).read_text())
    assert effect["network"] == "resnet-imagenet-18" and effect["pictures"] == 18
    full, *others = effect["instances"]
    assert full["id"] == "full" and full["distilled"]["agreement"] == {
        "hits": 6, "n": 6, "share": 1.0, "interval": [0.6097, 1.0]
    }  # fmt: skip
    for row in others:
        assert 0 < row["share"] < 1 and row["inserted"]["top1"]["n"] == 6
        assert row["inserted"].keys() == row["statistics"].keys() == row["distilled"].keys()


def test_without_distillation_only_statistics_are_an_instances_own(adapted, tmp_path):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs, "--run", tmp_path / "run"]
    assert call("adapt", *words, "--set", "system.points=[8]", "--variants", 0) == 0
    trained = load_calibrated(Run(tmp_path / "run"))
    assert {i.id for i in trained.instances} == {"full", "p08-r500", "p08-r750"}
    assert not set(trained.statistics["p08-r500"]) & set(dict(trained.model.named_parameters()))
    assert Run(tmp_path / "run").records("adapted")[-1]["steps"] == ["inserted", "statistics"]


def test_a_killed_adaptation_goes_on_where_it_was(adapted, tmp_path, monkeypatch, capsys):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs / "train", "--run", tmp_path / "run"]
    words += ["--set", "system.points=[1, 4]", "--variants", 1]
    original, tuned, stops = story.tune, [], ["p04-r500"]

    def tune(model, instance, *rest):
        tuned.append(instance.id)
        if instance.id in stops:
            stops.remove(instance.id)
            raise KeyboardInterrupt
        return original(model, instance, *rest)

    monkeypatch.setattr(story, "tune", tune)
    with pytest.raises(KeyboardInterrupt):
        call("adapt", *words)
    assert call("adapt", *words) == 0
    assert tuned == ["p01-r500", "p01-r750", "p04-r500", "p04-r500", "p04-r750"]
    again, whole = load_calibrated(Run(tmp_path / "run")).statistics, load_calibrated(adapted.run).statistics
    assert again.keys() == whole.keys()
    for id, expected in whole.items():
        assert all(torch.equal(again[id][name], value) for name, value in expected.items())
    tuned.clear()
    (tmp_path / "run" / "checkpoint.pt").unlink()
    assert call("adapt", *words, "--set", "train.lr=0.002") == 0
    assert len(tuned) == 4, "asked for in another way"
    assert len(Run(tmp_path / "run").records("statistics")) == 5, "which tuning does not change"
    tuned.clear()
    (tmp_path / "run" / "checkpoint.pt").unlink()
    fewer = ["--set", "train.lr=0.002", "--set", "system.points=[1]", "--set", "model.ratios=[0.75]"]
    assert call("adapt", *words, *fewer) == 0 and tuned == [], "what others there are changes none"
    tuned.clear()
    (tmp_path / "run" / "checkpoint.pt").unlink()
    Image.new("RGB", (90, 80), "red").save(tmp_path / "another.jpg")
    shutil.copytree(adapted.photographs / "train", tmp_path / "others")
    for picture in (tmp_path / "others" / CLASSES[0]).iterdir():
        shutil.copy(tmp_path / "another.jpg", picture)
    words[words.index("--pictures") + 1] = tmp_path / "others"
    assert call("adapt", *words, "--set", "train.lr=0.002") == 0
    assert len(tuned) == 4, "other pictures, as many"


def test_what_is_tuned_several_times_is_the_mean_of_tunings_with_seeds_of_their_own(adapted, tmp_path):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs / "train"]
    words += ["--set", "system.points=[4]", "--set", "model.ratios=[0.5]", "--variants", 1]

    def adapt(name, *more):
        assert call("adapt", *words, "--run", tmp_path / name, *more) == 0
        return load_calibrated(Run(tmp_path / name))

    first, second = adapt("first"), adapt("second", "--set", "train.seed=2")
    both = adapt("both", "--tunings", 2)
    assert json.loads((tmp_path / "both" / EFFECT).read_text())["tunings"] == 2
    more = adapt("more", "--more", "p04-r500=2")
    assert all(torch.equal(more.statistics["p04-r500"][n], v) for n, v in both.statistics["p04-r500"].items())
    own = own_parameters(both.model, Instance(4, 0.5))
    a, b, mean = (t.statistics["p04-r500"] for t in (first, second, both))
    assert any(not torch.equal(a[name], b[name]) for name in own)
    assert all(torch.allclose(mean[name], (a[name] + b[name]) / 2) for name in own)
    assert all(torch.equal(mean[name], value) for name, value in a.items() if name not in own)


def test_an_adaptation_that_is_killed_while_it_measures_goes_on(adapted, tmp_path, monkeypatch):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs / "train", "--run", tmp_path / "run"]
    words += ["--set", "system.points=[4]", "--set", "model.ratios=[0.5]", "--variants", 1]

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(story, "effect_rows", killed)
        call("adapt", *words)
    run = Run(tmp_path / "run")
    assert call("adapt", *words) == 0 and (run.folder / EFFECT).exists()
    (tuned,) = run.records("tuned")  # once; and its time counts
    assert load_calibrated(run).seconds > tuned["seconds"] > 0
    assert run.records("start")[0]["precision"] == chosen("auto", torch.device("cpu"))


def test_pictures_that_stay_on_the_disk_are_refused_at_once(adapted, tmp_path, capsys):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs, "--run", tmp_path / "run"]
    assert call("adapt", *words, "--set", "data.loading=stream") == 2
    assert "data.loading is 'stream'" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "why"), [("p04-r50=2", "there are ['full', 'p04-r500']"), ("p04-r500", "a number")])
def test_more_tunings_of_what_is_not_there_are_refused_at_once(asked, why, adapted, tmp_path, capsys):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs, "--run", tmp_path / "run"]
    words += ["--set", "system.points=[4]", "--set", "model.ratios=[0.5]"]
    assert call("adapt", *words, "--more", asked) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--tunings", 0], ["--more", "p04-r500=0"], ["--variants", -1]])
def test_less_than_one_tuning_or_no_variants_is_refused_at_once(words, adapted, tmp_path, capsys):
    where = ["--adapter", adapted.adapter, "--pictures", adapted.photographs, "--run", tmp_path / "run"]
    assert call("adapt", *where, *words) == 2
    assert "expected 0 or more, and 1 or more" in capsys.readouterr().err


def test_held_out_pictures_of_some_classes_are_labelled_by_the_networks(adapted, tmp_path):
    few = tmp_path / "few"
    for name in CLASSES[1:]:
        shutil.copytree(adapted.photographs / "train" / name, few / "train" / name)
    trained = load_calibrated(adapted.run)
    trained = replace(trained, config=replace(trained.config, data=replace(trained.config.data, held_out=4)))
    part, held_out = _training_of(Namespace(data=few), trained)
    assert part.classes == held_out.classes == trained.classes
    assert sorted(set(held_out.labels.tolist())) == sorted(set(part.labels.tolist())) == [1, 2]


def test_an_adapted_run_is_not_calibrated_over(adapted, capsys):
    assert call("calibrate", "--run", adapted.run.folder, "--data", adapted.photographs) == 2
    assert "was adapted" in capsys.readouterr().err


def test_pictures_held_out_of_an_adaptation_are_those_of_its_export(adapted):
    data = load_calibrated(adapted.run).config.data
    by_export, by_adapt = load_training(adapted.photographs, data), divided(adapted.photographs / "train", data)
    for a, b in zip(by_export, by_adapt, strict=True):
        assert sorted(a.files) == sorted(f"train/{file}" for file in b.files)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either --adapter"),
        (["--adapter", "x.yaml"], "needs --pictures"),
        (["--adapter", "x.yaml", "--new-head", "x"], "either --adapter"),
        (["--new-head", "x"], "needs --data"),
    ],
)
def test_arguments_that_do_not_belong_together_are_refused(words, message, tmp_path, capsys):
    assert call("adapt", "--run", tmp_path / "run", *words) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_point_that_is_not_there_and_a_run_that_is_are_refused(adapted, tmp_path, capsys):
    words = ["--adapter", adapted.adapter, "--pictures", adapted.photographs]
    assert call("adapt", *words, "--run", tmp_path / "new", "--set", "system.points=[9]") == 2
    assert "the network has points 1 to 8" in capsys.readouterr().err
    assert call("adapt", *words, "--run", adapted.run.folder) == 2
    assert "holds a run" in capsys.readouterr().err
