from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from sdpoint.config import TrainConfig
from sdpoint.data import hold_out, load_split
from sdpoint.instance import FULL, Instance
from sdpoint.run import Run
from sdpoint.train import distilling_loss, learning_rate, plain_loss, train

X = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, 0])
SETTINGS = TrainConfig(distill_temperature=2.0, distill_weight=0.7)


@pytest.fixture
def parts(made, config):
    return hold_out(load_split(made.data, "train", config.data), config.data.held_out, seed=0)


class Stop(Exception):
    pass


def interrupt_after(epoch: int, run: Run, monkeypatch) -> None:
    """Make the run stop as soon as it has logged this epoch: the checkpoint is written just before."""
    log = run.log

    def stopping(kind, **values):
        log(kind, **values)
        if kind == "epoch" and values["epoch"] == epoch:
            raise Stop

    monkeypatch.setattr(run, "log", stopping)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch, config, parts):
    config = replace(config, train=replace(config.train, epochs=3, distill_from=0.5))  # stop before distilling starts
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
    assert all(torch.equal(value, b["model"][name]) for name, value in a["model"].items())
    for key, values in a["optimizer"]["state"].items():
        assert torch.equal(values["momentum_buffer"], b["optimizer"]["state"][key]["momentum_buffer"])
    epochs = [{k: r[k] for k in ("epoch", "loss", "top1", "lr", "distil")} for r in whole.records("epoch")]
    assert epochs == [{k: r[k] for k in epochs[0]} for r in cut.records("epoch")]
    assert [e["distil"] for e in epochs] == [0, 0, 1]


def test_a_run_that_has_begun_is_not_overwritten(made, config, parts):
    with pytest.raises(FileExistsError, match="--resume"):
        train(config, *parts, made.run, resume=False)


def test_training_learns_and_logs(made):
    epochs = made.run.records("epoch")
    assert [e["epoch"] for e in epochs] == [1, 2]
    assert epochs[1]["loss"] < epochs[0]["loss"]
    start, look = made.run.records("start")[0], made.run.records("held-out")[-1]
    assert start["pictures"] == 51 and start["versions"]["torch"] == torch.__version__
    assert set(look["top1"]) >= {"full", "p01-r500"}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, config, parts):
    with pytest.raises(FloatingPointError, match=r"lower train\.lr"):
        train(replace(config, train=replace(config.train, lr=1e20)), *parts, Run(tmp_path), resume=False)


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    settings = TrainConfig(lr=0.2, warmup=0.25)
    rates = [learning_rate(i / 1000, settings) for i in range(1000)]
    peak = rates.index(max(rates))
    assert peak == 250 and rates[peak] == pytest.approx(0.2)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] == pytest.approx(0.02) and rates[-1] < 1e-5


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("p", [1, 2, 3])
def test_distillation_is_labels_for_full_and_full_as_teacher_for_the_drawn_instance(model, p):
    instance, t, w = Instance(p, 0.5), 2.0, 0.7
    loss, logits = distilling_loss(model, X, Y, instance, SETTINGS)
    full, cheap = model(X, FULL), model(X, instance)
    teacher = (full.detach() / t).softmax(1)  # no gradient: the pupil does not pull its teacher down
    soft = -(teacher * (cheap / t).log_softmax(1)).sum(1).mean() * t**2
    expected = 0.5 * F.cross_entropy(full, Y) + 0.5 * (w * soft + (1 - w) * F.cross_entropy(cheap, Y))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits, cheap)
    for got, right in zip(gradients(model, loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(got, right, atol=1e-5, rtol=1e-4)


def test_when_full_is_drawn_there_is_nothing_to_distil(model):
    for loss_of in (distilling_loss, plain_loss):
        loss, logits = loss_of(model, X, Y, FULL, SETTINGS)
        torch.testing.assert_close(loss, F.cross_entropy(model(X, FULL), Y))
        torch.testing.assert_close(logits, model(X, FULL))


def test_the_plain_loss_is_that_of_the_drawn_instance(model):
    loss, logits = plain_loss(model, X, Y, Instance(2, 0.75), SETTINGS)
    torch.testing.assert_close(loss, F.cross_entropy(model(X, Instance(2, 0.75)), Y))
    assert logits.dtype == torch.float32
