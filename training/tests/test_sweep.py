import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from make_fixture import CONFIG

from sdpoint import sweep
from sdpoint.cli import main
from sdpoint.config import ConfigError
from sdpoint.run import Run, RunError
from sdpoint.sweep import Places, load_sweep, placed, run_sweep

CONFIGS = Path(__file__).parents[1] / "configs"
RUNS = [
    {"name": "plain", "seeds": [1, 2], "set": ["system.name=plain"]},
    "sdpoint",
    {"name": "sact", "set": ["system.name=sact", "model.depth=16", "system.thresholds=[0.5]"]},
]


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))
    sets = ["train.epochs=1", "data.held_out=9", "train.batch=8"]
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({"config": "base.yaml", "set": sets, "runs": RUNS}))
    return path


@pytest.fixture
def places(made, tmp_path):
    return Places(made.data, tmp_path / "runs", tmp_path / "results")


def read(places, name):
    return json.loads((places.results / "small" / f"{name}.json").read_text())


@pytest.mark.parametrize("path", sorted((CONFIGS / "sweeps").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_lists_load(path):
    assert load_sweep(path)


def test_a_list_gives_a_run_for_each_system_and_seed(listed):
    experiments = load_sweep(listed)
    assert [e.name for e in experiments] == ["plain-seed1", "plain-seed2", "sdpoint-seed1", "sact-seed1"]
    assert {e.config.train.epochs for e in experiments} == {1} and {e.sweep for e in experiments} == {"small"}
    assert experiments[1].config.train.seed == 2 and experiments[1].config.system.name == "plain"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": []}, "at least one"),
        ({"runs": ["a", "a"]}, "a name of its own"),
        ({"runs": [{"set": []}]}, "a name of its own"),
        ({"runs": [{"name": "a", "sets": []}]}, "unknown key runs.sets"),
        ({"runs": [{"name": "a", "set": ["train.epoch=1"]}]}, "unknown key train.epoch"),
        ({"config": "nothing.yaml"}, "nothing"),
        ({"seed": 3}, "unknown key seed"),
    ],
)
def test_a_wrong_list_is_refused(listed, change, message):
    listed.write_text(yaml.safe_dump(yaml.safe_load(listed.read_text()) | change))
    with pytest.raises(ConfigError, match=message):
        load_sweep(listed)


def test_a_sweep_leaves_a_result_for_each_run_and_does_nothing_the_second_time(made, listed, places, monkeypatch):
    words = ["sweep", listed, "--data", places.data, "--runs", places.runs, "--results", places.results]
    assert main([str(word) for word in words]) == 0
    result, rival = read(places, "sdpoint-seed1"), read(places, "sact-seed1")
    assert (result["system"], result["seed"], result["pictures"], result["epochs"]) == ("sdpoint", 1, 51, 1)
    assert result["trainingFlops"] == result["trainingFlopsPerEpoch"] > 0 and result["testOpened"] == 0
    part = result["parts"]["held-out"]
    assert (part["n"], part["nByClass"], len(part["configurations"]), len(part["ubn"])) == (9, [3, 3, 3], 7, 7)
    assert [c["id"] for c in rival["parts"]["held-out"]["configurations"]] == ["full", "t500"]
    assert "ubn" not in rival["parts"]["held-out"]
    monkeypatch.setattr(sweep, "run_experiment", None)
    assert main([str(word) for word in words]) == 0


def test_the_test_part_is_added_without_training_again(listed, places):
    experiments = load_sweep(listed)[:1]
    run_sweep(experiments, places, "held-out")
    before = read(places, "plain-seed1")
    run_sweep(experiments, places, "test")
    after = read(places, "plain-seed1")
    assert after["parts"]["held-out"] == before["parts"]["held-out"] and after["parts"]["test"]["n"] == 24
    assert (after["weights"], after["testOpened"]) == (before["weights"], 1)
    assert len(Run(places.runs / "small" / "plain-seed1").records("start")) == 1


def test_a_sweep_killed_half_way_gives_the_same_figures(listed, places, monkeypatch, tmp_path):
    experiments = [replace(e, config=longer(e.config)) for e in load_sweep(listed)[2:3]]
    run_sweep(experiments, places, "held-out")
    log = Run.log

    def killed(run, kind, **values):
        log(run, kind, **values)
        if kind == "epoch" and values["epoch"] == 1:
            raise KeyboardInterrupt

    again = Places(places.data, tmp_path / "again", tmp_path / "results again")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "log", killed)
        run_sweep(experiments, again, "held-out")
    run_sweep(experiments, again, "held-out")
    for key in ("parts", "weights", "trainingFlops"):
        assert read(again, "sdpoint-seed1")[key] == read(places, "sdpoint-seed1")[key]


def longer(config):
    return replace(config, train=replace(config.train, epochs=2))


def test_runs_side_by_side_give_the_same_figures(listed, places, tmp_path):
    experiments = load_sweep(listed)[:2]
    run_sweep(experiments, places, "held-out")
    apart = Places(places.data, tmp_path / "apart", tmp_path / "results apart")
    run_sweep(experiments, apart, "held-out", parallel=2, threads=1)
    for name in ("plain-seed1", "plain-seed2"):
        assert read(apart, name)["parts"] == read(places, name)["parts"]
    assert "epoch 1/1" in (apart.runs / "small" / "plain-seed1" / "output.log").read_text()


def test_where_a_run_was_trained_is_told_and_is_no_other_configuration(listed, places):
    experiments = load_sweep(listed)[:1]
    run_sweep(experiments, places, "held-out", device="cpu")
    assert read(places, "plain-seed1")["device"] == "cpu"
    elsewhere = [replace(e, config=placed(e.config, threads=7, device="cuda")) for e in experiments]
    assert elsewhere[0].config.train.device == "cuda"
    assert run_sweep(elsewhere, places, "held-out") == []  # finished: nothing asks for the device


def test_a_device_that_is_not_there_is_refused(listed, places, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    words = ["sweep", listed, "--data", places.data, "--runs", places.runs, "--results", places.results]
    assert main([*map(str, words), "--device", "cuda"]) == 2
    assert "the device is cuda, but PyTorch finds none here" in capsys.readouterr().err


def test_what_another_configuration_made_is_not_passed_off_as_this(listed, places):
    experiments = load_sweep(listed)[:1]
    run_sweep(experiments, places, "held-out")
    changed = [replace(e, config=longer(e.config)) for e in experiments]
    with pytest.raises(RunError, match="another configuration"):
        run_sweep(changed, places, "held-out")
    shutil.rmtree(places.results)
    with pytest.raises(RunError, match="another configuration"):
        run_sweep(changed, places, "held-out")


def test_a_run_that_diverges_does_not_stop_the_others(listed, places, capsys):
    raw = yaml.safe_load(listed.read_text())
    raw["runs"] = [{"name": "wild", "set": ["train.lr=1.0e+20"]}, "sdpoint"]
    listed.write_text(yaml.safe_dump(raw))
    assert run_sweep(load_sweep(listed), places, "held-out") == ["wild-seed1"]
    assert read(places, "sdpoint-seed1")
