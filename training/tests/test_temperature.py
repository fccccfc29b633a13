import pytest
import torch

from sdpoint.temperature import HIGHEST, LOWEST, fit_temperature, negative_log_likelihood


@pytest.fixture
def honest():
    """Logits, and labels drawn from exactly the probabilities they state."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 10, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator).flatten()


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_logits_scaled_by_a_factor_need_that_temperature(honest, factor):
    logits, labels = honest
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.02)


def test_no_other_temperature_is_better(honest):
    logits, labels = honest
    best = fit_temperature(logits, labels)
    at_best = negative_log_likelihood(logits, labels, best)
    assert all(at_best <= negative_log_likelihood(logits, labels, best * f) for f in (0.5, 0.9, 0.99, 1.01, 1.1, 2))


def test_the_order_of_classes_does_not_change(honest):
    logits, labels = honest
    assert torch.equal((logits / fit_temperature(logits, labels)).argmax(1), logits.argmax(1))


def test_hopeless_and_perfect_logits_end_at_the_bounds():
    labels = torch.tensor([0, 1, 2, 0])
    perfect = torch.nn.functional.one_hot(labels, 3).float()
    assert fit_temperature(perfect, labels) == pytest.approx(LOWEST, rel=0.01)
    assert fit_temperature(-perfect, labels) == pytest.approx(HIGHEST, rel=0.01)


def test_extreme_logits_stay_finite(honest):
    logits, labels = honest
    assert 0 < fit_temperature(1e4 * logits, labels) <= HIGHEST
