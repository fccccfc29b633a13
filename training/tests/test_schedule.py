import pytest

from sdpoint.config import TrainConfig
from sdpoint.schedule import learning_rate


def test_the_rate_rises_to_its_peak_and_falls_to_nothing():
    settings = TrainConfig(lr=0.2, warmup=0.25, epochs=10)
    rates = [learning_rate(i / 100, settings) for i in range(1000)]
    peak = rates.index(max(rates))
    assert peak == 250 and rates[peak] == pytest.approx(0.2)
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] == pytest.approx(0.02) and rates[-1] < 1e-5


def test_steps_fall_at_each_milestone_and_not_between():
    settings = TrainConfig(schedule="step", lr=0.1, milestones=(40, 75, 105), epochs=115)
    rates = {epoch: learning_rate(epoch, settings) for epoch in (0, 39.999, 40, 74.9, 75, 104.9, 105, 114.9)}
    assert list(rates.values()) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001])
