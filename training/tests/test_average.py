import pytest
import torch

from sdpoint.average import Average


def test_the_average_moves_towards_the_weights_and_leaves_them_alone():
    model = torch.nn.BatchNorm1d(1)
    average = Average(model.state_dict(), 0.75)
    with torch.no_grad():
        model.weight.fill_(5.0)
        model.running_mean.fill_(4.0)
        model.num_batches_tracked.fill_(3)
    average.update(model.state_dict(), step=1000)
    assert average.values["weight"].item() == pytest.approx(0.75 * 1 + 0.25 * 5)
    assert average.values["running_mean"].item() == pytest.approx(1.0)
    assert average.values["num_batches_tracked"].item() == 3
    assert model.weight.item() == 5 and not average.values["weight"].requires_grad


def test_first_steps_forget_faster():
    model = torch.nn.Linear(1, 1)
    average = Average(model.state_dict(), 0.999)
    with torch.no_grad():
        model.bias.fill_(10.0)
        average.values["bias"].fill_(0.0)
    average.update(model.state_dict(), step=0)
    assert average.values["bias"].item() == pytest.approx(9.0)
