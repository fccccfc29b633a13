import pytest
import torch

from sdpoint.adapt.statistics import SHARES, divergence, mixed, mixed_statistics, trained_statistics
from sdpoint.calibrate import estimate
from sdpoint.config import DataConfig
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance
from sdpoint.models.network import norm_layers_before

DATA = DataConfig(size=16)
INSTANCES = [FULL, Instance(1, 0.5), Instance(3, 0.75)]


@pytest.fixture
def answers(model, images):
    return logits_of(model, FULL, {}, images, DATA)


def test_full_keeps_the_trained_statistics_and_so_do_layers_before_a_point(model, images, answers):
    trained = trained_statistics(model)
    statistics, share = mixed_statistics(model, FULL, images, answers, DATA)
    assert share == 0 and all(torch.equal(statistics[name], value) for name, value in trained.items())
    for instance in INSTANCES[1:]:
        statistics, share = mixed_statistics(model, instance, images, answers, DATA)
        assert share in SHARES
        for layer in norm_layers_before(model, instance.p):
            assert torch.equal(statistics[f"{layer}.running_var"], trained[f"{layer}.running_var"])


def test_the_share_that_agrees_best_with_full_is_taken(model, images, answers):
    instance, trained = INSTANCES[1], trained_statistics(model)
    statistics, share = mixed_statistics(model, instance, images, answers, DATA)
    kept, seen, others = norm_layers_before(model, 1), slice(0, 10), slice(10, 20)
    estimated = estimate(model, instance, images[others], DATA)

    def cost(given):
        return divergence(logits_of(model, instance, given, images[seen], DATA), answers[seen]).item()

    costs = {share: cost(mixed(trained, estimated, share, kept)) for share in SHARES}
    assert costs[share] == min(costs.values()), "on pictures that the estimate has not seen"
    whole = mixed(trained, estimate(model, instance, images, DATA), share, kept)
    assert all(torch.equal(statistics[name], value) for name, value in whole.items())


def test_divergence_is_zero_for_the_same_answers_and_positive_for_others(answers):
    assert divergence(answers, answers + 3).item() == pytest.approx(0, abs=1e-6)
    assert divergence(answers.flip(0), answers) > 0
