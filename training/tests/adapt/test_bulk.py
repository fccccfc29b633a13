"""Adapts a ResNet with torchvision's names and random weights on folders of photographs."""

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from adapt.conftest import write_adapter
from PIL import Image

from sdpoint.adapt.story import EFFECT
from sdpoint.checkpoint import load_calibrated
from sdpoint.cli import main
from sdpoint.data import load_training
from sdpoint.evaluate import logits_of
from sdpoint.export.family import verify_family
from sdpoint.export.load import load_family
from sdpoint.instance import FULL
from sdpoint.run import Run

QUICK = ["distil.steps=6", "distil.held_out=4", "distil.crop_sets=1", "data.workers=0", "system.points=[1, 4]"]
QUICK += ["train.average=0.5", "distil.shared=all"]


@pytest.fixture
def others(tmp_path):
    """A second folder: ten photographs, one picture that is cut off, and a drawing."""
    folder, random = tmp_path / "others", np.random.default_rng(1)
    (folder / "drawings").mkdir(parents=True)
    for index in range(10):
        Image.fromarray(random.integers(256, size=(70, 60 + index, 3), dtype=np.uint8)).save(folder / f"{index}.jpg")
    Image.new("RGB", (50, 50)).save(folder / "drawings" / "a.png")
    (folder / "broken.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    return folder


def words(adapted, others, tmp_path, *more, settings=QUICK, run="run"):
    given = ["adapt", "--adapter", adapted.adapter, "--pictures", adapted.photographs / "train", others]
    given += ["--without", "drawings/*", "--cache", tmp_path / "cache", "--run", tmp_path / run]
    return [str(word) for word in [*given, *more, *(part for s in settings for part in ("--set", s))]]


def test_a_network_adapted_in_bulk_exports_as_a_family(adapted, others, tmp_path, capsys):
    assert main(words(adapted, others, tmp_path, "--labelled", adapted.photographs / "test")) == 0
    err = capsys.readouterr().err
    assert "broken.jpg cannot be read" in err and "1 of 35 pictures are left out" in err
    run = Run(tmp_path / "run")
    (broken,) = run.records("broken")
    assert list(broken["files"]) == [str(others / "broken.jpg")]
    effect = json.loads((run.folder / EFFECT).read_text())
    assert effect["pictures"] + effect["heldOut"] == 34 and effect["heldOut"] in (9, 10) and effect["broken"] == 1
    full = effect["instances"][0]
    assert full["inserted"]["agreement"]["share"] == 1 and full["inserted"]["divergence"] == 0
    assert full["distilled"]["divergence"] > 0 and full["distilled"]["top1"]["n"] == 6
    out = tmp_path / "models" / "bulk"
    export = ["export", "--run", run.folder, "--data", adapted.photographs, "--about", adapted.about, "--out", out]
    assert main([str(word) for word in export]) == 0
    verify_family(out)
    card = " ".join((out / "README.md").read_text().split())
    assert "bit for bit" not in card and "All shared weights" in card and "section `distil`" in card
    trained, again = load_calibrated(run), load_family(out)
    images = load_training(adapted.photographs, trained.config.data)[1].images
    for instance in trained.instances:
        expected, got = (
            logits_of(t.model, instance, t.statistics[instance.id], images, t.config.data) for t in (trained, again)
        )
        assert torch.equal(got, expected)


@pytest.mark.parametrize("more", [[], ["distil.own_classifier=true"]])
def test_without_shared_weights_full_stays_the_original(adapted, others, tmp_path, resnet18, more):
    settings = [*QUICK, "distil.shared=nothing", *more]
    assert main(words(adapted, others, tmp_path, settings=settings)) == 0
    trained = load_calibrated(Run(tmp_path / "run"))
    assert torch.equal(trained.model.fc.weight, resnet18["fc.weight"])
    assert torch.equal(trained.model.blocks[7].bn2.weight, resnet18["layer4.1.bn2.weight"])
    assert not torch.equal(trained.statistics["p01-r500"]["blocks.7.bn2.weight"], resnet18["layer4.1.bn2.weight"])
    assert ("fc.weight" in trained.statistics["p01-r500"]) == bool(more)
    out = tmp_path / "models" / "bulk"
    export = ["export", "--run", tmp_path / "run", "--data", adapted.photographs, "--about", adapted.about]
    assert main([str(word) for word in [*export, "--out", out]]) == 0
    card = " ".join((out / "README.md").read_text().split())
    assert "bit for bit" in card and ("classifier of its own" in card) == bool(more)
    for instance in trained.instances:
        own = load_family(out).statistics[instance.id]
        assert ("fc.weight" in own) == (bool(more) and instance != FULL)


def test_a_process_that_was_killed_goes_on_to_the_same_weights(adapted, others, tmp_path):
    settings = [*QUICK, "distil.steps=8", "train.checkpoint_minutes=0.000001"]
    assert main(words(adapted, others, tmp_path, settings=settings, run="whole")) == 0
    shutil.rmtree(tmp_path / "cache")
    given = words(adapted, others, tmp_path, "--pause-file", tmp_path / "pause", settings=settings)
    process = subprocess.Popen([sys.executable, "-m", "sdpoint.cli", *given], stderr=subprocess.DEVNULL)
    saved, ends = tmp_path / "run" / "distilled.pt", time.monotonic() + 120
    while not saved.exists() and time.monotonic() < ends:
        time.sleep(0.05)
    (tmp_path / "pause").touch()  # so that it cannot end before it is killed
    process.kill()
    process.wait()
    assert saved.exists() and not (tmp_path / "run" / "checkpoint.pt").exists()
    (tmp_path / "pause").unlink()
    assert main(given) == 0
    whole, resumed = (load_calibrated(Run(tmp_path / name)) for name in ("whole", "run"))
    assert resumed.digest == whole.digest
    for id, expected in whole.statistics.items():
        assert all(torch.equal(resumed.statistics[id][name], value) for name, value in expected.items())


def test_a_finished_run_and_another_distillation_in_its_folder_are_refused(adapted, others, tmp_path, capsys):
    assert main(words(adapted, others, tmp_path)) == 0
    assert main(words(adapted, others, tmp_path)) == 2
    assert "holds a run" in capsys.readouterr().err
    (tmp_path / "run" / "checkpoint.pt").unlink()
    assert main(words(adapted, others, tmp_path, settings=[*QUICK, "train.lr=0.5"])) == 2
    assert "another distillation (train differ)" in capsys.readouterr().err


def test_what_is_known_of_the_original_is_not_measured_again(adapted, others, tmp_path, capsys):
    assert main(words(adapted, others, tmp_path, run="first")) == 0
    kept = sorted(path.name for path in (tmp_path / "cache").iterdir())
    changed = [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").rglob("*.pt"))]
    assert main(words(adapted, others, tmp_path, run="second", settings=[*QUICK, "train.lr=0.0001"])) == 0
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == kept
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / "cache").rglob("*.pt"))] == changed


def test_several_folders_without_the_section_are_refused(adapted, others, tmp_path, capsys):
    given = words(adapted, others, tmp_path, settings=[])
    assert main(given) == 2
    assert "--pictures has 2 folders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("distil.shared=some", "distil.shared is 'some'"),
        ("distil.stepz=3", "unknown key distil.stepz"),
        ("distil.steps", "expected distil.key=value"),
        ("distil.pictures=4", "do not fill a batch"),
    ],
)
def test_wrong_settings_are_refused(adapted, others, tmp_path, capsys, override, message):
    assert main(words(adapted, others, tmp_path, settings=[*QUICK, override])) == 2
    assert message in capsys.readouterr().err


def test_an_adapter_can_have_the_section(adapted, others, tmp_path, resnet18, capsys):
    adapter = write_adapter(tmp_path, resnet18)
    adapter.write_text(adapter.read_text() + "distil:\n  steps: 2\n  held_out: 3\n")
    given = words(adapted, others, tmp_path, settings=["data.workers=0", "system.points=[4]"])
    given[given.index(str(adapted.adapter))] = str(adapter)
    assert main(given) == 0
    assert json.loads((tmp_path / "run" / EFFECT).read_text())["distil"]["steps"] == 2


README = Path(__file__).parents[2] / "README.md"


def test_the_command_of_the_readme_adapts_a_users_network(adapted, others, tmp_path, monkeypatch):
    block = README.read_text().split("<!-- bulk -->")[1].split("```")[1].removeprefix("sh")
    commands = [shlex.split(line) for line in block.strip().replace("\\\n", "").splitlines()]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(adapted.photographs, "photos")
    shutil.copytree(others, "more")
    for name in ("adapter.yaml", "weights.pth", "classes.txt"):
        shutil.copy(adapted.adapter.parent / name, name)
    shutil.copy(adapted.about, "about.yaml")
    quick = [part for s in ("distil.steps=4", "distil.held_out=3", "data.workers=0") for part in ("--set", s)]
    for program, *given in commands:
        assert program == "sdpoint"
        assert main([*given, *(quick if given[0] == "adapt" else [])]) == 0
    manifest = verify_family(tmp_path / "models" / "mine")
    assert {i["id"] for i in manifest["instances"]} >= {"full", "p01-r500"}
