import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import processes
import pytest
import torch
import yaml
from make_fixture import CONFIG
from torch import nn

from sdpoint.config import ConfigError, parse_config
from sdpoint.data import load_training
from sdpoint.distributed import device_of, joined
from sdpoint.run import Run
from sdpoint.systems.base import System
from sdpoint.train import train

SCRIPT = str(Path(processes.__file__))
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--"]
SETTINGS = {
    "data": CONFIG["data"] | {"held_out": 9},
    "model": CONFIG["model"],
    "train": CONFIG["train"]  # six steps an epoch
    | {"epochs": 2, "batch": 8, "look_every": 0, "distill_from": 0.5, "average": 0.9, "checkpoint_minutes": 1e-9},
}


def start(made, run: Path, *launcher: str, kill_at: int | None = None) -> int:
    """Run `sdpoint train --resume` in separate processes; returns the exit code."""
    run.mkdir(exist_ok=True)
    config = run.parent / "config.yaml"
    config.write_text(yaml.safe_dump(json.loads(json.dumps(SETTINGS))))
    kill = {} if kill_at is None else {"KILL_AT": str(kill_at)}
    words = [str(path) for path in (config, made.data, run)]
    environment = os.environ | kill | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, *launcher, SCRIPT, *words], env=environment, capture_output=True).returncode


def here(made, run: Path) -> None:
    """Run `sdpoint train --resume` in this process alone."""
    config = parse_config(SETTINGS)
    train(config, *load_training(made.data, config.data), Run(run), resume=True)


def checkpoint(run: Path) -> dict:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def figures(run: Path) -> list[dict]:
    return [{k: v for k, v in r.items() if k not in ("kind", "time", "seconds")} for r in Run(run).records("epoch")]


def test_a_run_killed_within_an_epoch_goes_on_there_and_ends_with_the_same_weights(made, tmp_path):
    assert start(made, tmp_path / "cut", kill_at=12) == -signal.SIGKILL
    cut = checkpoint(tmp_path / "cut")
    assert cut["epoch"] == 1 and cut["under_way"]["steps"] == 4
    for name in ("cut", "whole"):
        here(made, tmp_path / name)
    cut, whole = (checkpoint(tmp_path / name) for name in ("cut", "whole"))
    for weights in ("model", "average"):
        assert all(torch.equal(value, cut[weights][name]) for name, value in whole[weights].items())
    assert torch.equal(cut["generator"], whole["generator"]) and cut["flops"] == whole["flops"]
    assert figures(tmp_path / "cut") == figures(tmp_path / "whole")


def test_two_processes_killed_and_resumed_train_as_one_does(made, tmp_path, monkeypatch):
    """Norm layers use fixed statistics here, because in training each process normalises its own share."""
    assert start(made, tmp_path / "two", *TORCHRUN, kill_at=12) != 0
    assert checkpoint(tmp_path / "two")["under_way"]["steps"] == 4
    assert start(made, tmp_path / "two", *TORCHRUN) == 0
    monkeypatch.setattr(nn.BatchNorm2d, "forward", processes.fixed_norm)
    monkeypatch.setattr(System, "build", processes.with_unused(System.build))
    here(made, tmp_path / "one")
    one, two = (checkpoint(tmp_path / name) for name in ("one", "two"))
    for weights in ("model", "average"):
        for name, value in one[weights].items():
            torch.testing.assert_close(two[weights][name], value, atol=1e-5, rtol=1e-4)
    assert two["model"]["unused"].tolist() == [1, 1, 1]  # no weight decay either
    assert torch.equal(one["generator"], two["generator"]) and one["flops"] == two["flops"]
    for a, b in zip(figures(tmp_path / "one"), figures(tmp_path / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    assert len(Run(tmp_path / "two").records("start")) == 2  # one of two processes logs


def test_processes_that_do_not_fit_the_batch_or_a_device_that_is_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="finds none"):
        device_of("cuda")
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="multiple of the 3 processes"), joined("cpu", batch=128):
        pass
