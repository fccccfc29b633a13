import shutil
from dataclasses import replace

import pytest
import torch

from sdpoint.checkpoint import load_calibrated, load_trained
from sdpoint.config import SystemConfig
from sdpoint.data import hold_out, load_split
from sdpoint.flops import network_flops
from sdpoint.run import Run
from sdpoint.train import train


@pytest.fixture
def parts(made, config):
    return hold_out(load_split(made.data, "train", config.data), config.data.held_out, seed=0)


class Stop(Exception):
    pass


def interrupt_after(epoch: int, run: Run, monkeypatch) -> None:
    """Make the run stop when it has logged this epoch; the checkpoint is written just before."""
    log = run.log

    def stopping(kind, **values):
        log(kind, **values)
        if kind == "epoch" and values["epoch"] == epoch:
            raise Stop

    monkeypatch.setattr(run, "log", stopping)


DISTILLED = {"distill_from": 0.5}  # an unbroken epoch, one after the break, and then distillation
CASES = {
    "plain": ({}, {}),
    "sdpoint": ({}, {}),
    "sdpoint, distilled": ({}, DISTILLED),
    "sdpoint, distilled in turn, weights averaged": ({}, {"distill_mode": "alternately", "average": 0.9} | DISTILLED),
    "sdpoint, by gaps": ({"sampling": "gap"}, {}),
    "exits": ({}, {}),
    "scales": ({}, {"average": 0.9}),
    "sact": ({}, {"label_smoothing": 0.1}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch, config, parts, case):
    system, settings = CASES[case]
    config = replace(
        config,
        model=replace(config.model, depth=16),
        system=SystemConfig(name=case.partition(",")[0], **system),
        train=replace(config.train, epochs=3, look_every=2, **settings),
    )
    whole, cut = Run(tmp_path / "whole"), Run(tmp_path / "cut")
    train(config, *parts, whole, resume=False)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        interrupt_after(1, cut, patch)
        train(config, *parts, cut, resume=False)
    torch.rand(7)  # whatever else draws from the global generator must not matter
    train(config, *parts, Run(cut.folder), resume=True)
    a, b = (torch.load(run.folder / "checkpoint.pt", weights_only=True) for run in (whole, cut))
    assert a["epoch"] == b["epoch"] == 3
    assert torch.equal(a["generator"], b["generator"])
    assert a["flops"] == b["flops"] > 0
    for weights in ("model", "average") if config.train.average else ("model",):
        assert all(torch.equal(value, b[weights][name]) for name, value in a[weights].items())
    for key, values in a["optimizer"]["state"].items():
        assert torch.equal(values["momentum_buffer"], b["optimizer"]["state"][key]["momentum_buffer"])
    for kind, keys in (("epoch", ("epoch", "loss", "top1", "lr", "flops")), ("held-out", ("epoch", "top1"))):
        records = [{k: r[k] for k in keys} for r in whole.records(kind)]
        assert records and records == [{k: r[k] for k in keys} for r in cut.records(kind)]


def test_a_run_that_has_begun_is_not_overwritten(made, config, parts):
    with pytest.raises(FileExistsError, match="--resume"):
        train(config, *parts, made.run, resume=False)


def test_training_learns_and_logs(made):
    epochs = made.run.records("epoch")
    assert [e["epoch"] for e in epochs] == [1, 2]
    assert epochs[1]["loss"] < epochs[0]["loss"]
    start, look = made.run.records("start")[0], made.run.records("held-out")[-1]
    assert start["precision"] == "float32"
    assert start["pictures"] == 51 and start["versions"]["torch"] == torch.__version__
    assert set(look["top1"]) >= {"full", "p01-r500"}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, config, parts):
    with pytest.raises(FloatingPointError, match=r"lower train\.lr"):
        train(replace(config, train=replace(config.train, lr=1e20)), *parts, Run(tmp_path), resume=False)


NEWER_KEYS = (
    *("distill_mode", "average", "look_every", "schedule", "milestones", "decay", "nesterov"),
    *("precision", "device", "checkpoint_minutes"),
)


def test_a_checkpoint_from_before_there_were_systems_loads_and_goes_on(made, tmp_path, config, parts):
    run = Run(shutil.copytree(made.run.folder, tmp_path / "run"))
    for name in ("checkpoint.pt", "calibrated.pt"):
        content = torch.load(run.folder / name, weights_only=True)
        del content["config"]["system"], content["flops"]
        for key in ("average", "scaler", "under_way"):
            content.pop(key, None)
        for key in NEWER_KEYS:
            del content["config"]["train"][key]
        content["config"]["train"]["bfloat16"] = False
        torch.save(content, run.folder / name)
    assert load_calibrated(run).instances == load_trained(made.run).instances
    saved = load_trained(run).config
    assert saved.train.precision == "float32"
    train(replace(saved, train=replace(saved.train, epochs=3)), *parts, run, resume=True)
    assert load_trained(run).epoch == 3


def test_with_averaged_weights_these_are_what_a_run_gives(tmp_path, config, parts):
    config = replace(config, train=replace(config.train, average=0.9, epochs=1))
    model = train(config, *parts, Run(tmp_path), resume=False)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    loaded = load_trained(Run(tmp_path)).model.state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(value, content["average"][name]) and torch.equal(value, loaded[name])
    assert not torch.equal(content["model"]["fc.weight"], content["average"]["fc.weight"])


def test_training_flops_are_those_of_every_picture_of_every_step(tmp_path, config, parts):
    config = replace(config, system=SystemConfig(name="plain"))
    run = Run(tmp_path)
    train(config, *parts, run, resume=False)
    pictures = len(parts[0]) // config.train.batch * config.train.batch
    spent = 3 * network_flops(config.model, 3, config.data.size) * pictures
    assert [epoch["flops"] for epoch in run.records("epoch")] == [spent, spent]
    assert load_trained(run).flops == 2 * spent
