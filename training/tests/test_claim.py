"""training/gpu/claim.py with a tiny network on a CPU: its dry run."""

import json
from pathlib import Path

import claim
import pytest
import torch
import yaml
from make_fixture import CONFIG

from sdpoint.state import State
from sdpoint.sweep import finished

LISTS = Path(__file__).parents[1] / "configs/sweeps"


@pytest.fixture
def listed(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(CONFIG))
    runs = [{"name": "plain", "set": ["system.name=plain"]}, "sdpoint"]
    sets = ["train.epochs=2", "data.held_out=9", "train.batch=8"]
    path = tmp_path / "pair.yaml"
    path.write_text(yaml.safe_dump({"config": "base.yaml", "set": sets, "runs": runs}))
    return path


def planned(work, epochs=2):
    work.mkdir()
    (work / "plan.json").write_text(json.dumps({"epochs": epochs}))
    return work


def one(listed, made, work, system):
    claim.main(["one", str(listed), "--data", str(made.data), "--work", str(work), "--system", system])


def test_a_stopped_run_is_written_to_small_files_and_resumed_from_them(listed, made, tmp_path, monkeypatch):
    first, second, out = planned(tmp_path / "first"), tmp_path / "second", tmp_path / "out"
    save = State.save

    def stopped(state, *args):
        save(state, *args)
        raise KeyboardInterrupt

    monkeypatch.setattr(State, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        one(listed, made, first, "sdpoint")
    monkeypatch.undo()
    monkeypatch.setattr(claim, "PART_MIB", 1 / 64)
    claim.main(["give", str(listed), "--work", str(first), "--system", "sdpoint", "--out", str(out)])
    assert len(list(out.glob("state.*"))) > 1 and all(p.stat().st_size <= 2**14 for p in out.glob("state.*"))
    claim.main(["take", "--work", str(second), "--from", str(out)])
    before, after = (
        torch.load(work / "runs/pair/sdpoint-seed1/checkpoint.pt", weights_only=True) for work in (first, second)
    )
    assert all(torch.equal(v, after["model"][k]) for k, v in before["model"].items())
    for k, own in before["optimizer"]["state"].items():
        there = after["optimizer"]["state"][k]["momentum_buffer"]
        assert there.dtype == torch.float32
        torch.testing.assert_close(there, own["momentum_buffer"], rtol=2**-8, atol=0)
    one(listed, made, second, "sdpoint")
    [e] = claim.chosen(listed, only="sdpoint")
    assert finished(e, second / "results", "test")
    result = json.loads((second / "results/pair/sdpoint-seed1.json").read_text())
    assert result["epochs"] == 2 and set(result["parts"]) == {"held-out", "test"}


def test_a_finished_run_returns_its_result_and_its_network(listed, made, tmp_path):
    work, out = planned(tmp_path / "work"), tmp_path / "out"
    one(listed, made, work, "plain")
    claim.main(["give", str(listed), "--work", str(work), "--system", "plain", "--out", str(out)])
    head = json.loads((out / "texts.json").read_text())
    assert head["state"] == "calibrated.pt" and json.loads(head["texts"]["result.json"])["system"] == "plain"
    claim.main(["take", "--work", str(tmp_path / "again"), "--from", str(out)])
    one(listed, made, tmp_path / "again", "plain")  # finished already


def test_all_runs_train_at_once_from_the_timing_to_the_results(listed, made, tmp_path, capsys):
    words = ["train", str(listed), "--data", str(made.data), "--work", str(tmp_path / "work"), "--seconds", "600"]
    claim.main(words)
    said = capsys.readouterr().out
    assert "plain-seed1: finished, exit status 0" in said and "sdpoint-seed1: finished, exit status 0" in said, said
    plan = json.loads((tmp_path / "work/plan.json").read_text())
    assert plan["epochs"] == 2 and set(plan["epochSeconds"]) == {"plain", "sdpoint"}


def test_epochs_are_as_many_as_the_slowest_run_can_do_or_all_if_too_few_fit():
    seconds = {"plain": 2.0, "sdpoint": 1.0}
    assert claim.epochs_for(seconds, 200, 1000) == 200
    assert claim.epochs_for(seconds, 200, 330) == 150
    assert claim.epochs_for(seconds, 200, 200) == 200, "fewer than half would be another experiment"


def test_the_checkpoints_of_the_shipped_list_can_be_copied_back(capsys):
    claim.main(["size", str(LISTS / "cifar10-large.yaml")])
    said = capsys.readouterr().out
    assert "plain-seed1: 10,961,370 parameters" in said and "sdpoint-seed1" in said


def test_a_network_whose_checkpoint_is_too_large_is_refused(tmp_path):
    (tmp_path / "wide.yaml").write_text(
        yaml.safe_dump(
            {"config": str(LISTS.parent / "wrn-16-1-cifar10.yaml"), "set": ["model.width=10"], "runs": ["a"]}
        )
    )
    with pytest.raises(SystemExit, match="smaller network"):
        claim.main(["size", str(tmp_path / "wide.yaml")])
