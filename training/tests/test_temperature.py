import pytest
import torch

from sdpoint.temperature import HIGHEST, LOWEST, calibration_error, fit_temperature, negative_log_likelihood


@pytest.fixture
def honest():
    """Logits, and labels drawn from the probabilities of these logits, so that the temperature is 1."""
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


def test_calibration_error_is_the_distance_between_sure_and_right_averaged_over_pictures():
    sure = torch.tensor([0.9, 0.9, 0.9, 0.9, 0.6, 0.6])
    logits = torch.stack([sure.log(), (1 - sure).log()], dim=1)
    labels = torch.tensor([0, 0, 0, 1, 0, 1])  # right 3 of 4 times, and 1 of 2
    assert calibration_error(logits, labels) == pytest.approx((4 * (0.9 - 0.75) + 2 * (0.6 - 0.5)) / 6)


def test_errors_of_opposite_sign_in_one_bin_cancel_and_in_two_bins_do_not():
    logits = torch.tensor([[0.7, 0.3], [0.9, 0.1]]).log()
    labels = torch.tensor([0, 1])
    assert calibration_error(logits, labels, bins=1) == pytest.approx(0.8 - 0.5)
    assert calibration_error(logits, labels, bins=10) == pytest.approx((0.3 + 0.9) / 2)


def test_certainty_that_is_right_has_no_error_and_falls_into_the_last_bin():
    assert calibration_error(torch.tensor([[1000.0, 0.0]]), torch.tensor([0])) == 0


def test_the_fitted_temperature_lowers_the_calibration_error():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 5, generator=generator) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    overconfident = 3 * logits
    t = fit_temperature(overconfident, labels)
    assert calibration_error(overconfident, labels, t) < 0.02 < calibration_error(overconfident, labels)
