import pytest
import torch

from sdpoint.adapt import classifier
from sdpoint.adapt.classifier import choose, fit, folds, loss_of, scale_of


def clusters(count: int, channels: int, apart: float, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Features [count, 2 views, channels] around a centre for each class, and labels."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    features = torch.randn(count, 2, channels, generator=generator)
    features[torch.arange(count), :, labels] += apart
    return features, labels


def test_a_strength_means_the_same_whatever_the_scale_of_the_features():
    features, labels = clusters(60, 5, apart=2)
    expected = None
    for factor in (1e-3, 1.0, 1e3):
        unscaled = (features[:, 0] + 7) * factor
        scale = scale_of(unscaled)
        head = fit(scale.apply(unscaled)[:, None], labels, 3, strength=0.01)
        logits = scale.undone(head)(unscaled)
        torch.testing.assert_close(logits, head(scale.apply(unscaled)), atol=1e-3, rtol=0)
        expected = logits if expected is None else expected
        torch.testing.assert_close(logits, expected, atol=0.02, rtol=0)


def test_channels_that_hardly_vary_count_less_than_others_but_more_than_unscaled():
    features = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.01])
    wide, narrow = scale_of(features).apply(features).std(0).tolist()
    assert narrow / wide == pytest.approx(0.1, rel=0.1)


def test_the_fit_is_the_minimum_of_the_penalised_loss():
    features, labels = clusters(90, 4, apart=1)
    head = fit(features, labels, 3, strength=0.1)
    weight = head.weight.clone().requires_grad_()
    logits = torch.nn.functional.linear(features.flatten(0, 1), weight, head.bias)
    loss = torch.nn.functional.cross_entropy(logits, labels.repeat_interleave(2)) + 0.05 * weight.square().sum()
    loss.backward()
    assert weight.grad.abs().max() < 1e-3


def test_a_start_changes_the_steps_but_not_the_result():
    features, labels = clusters(90, 4, apart=1)
    expected, start = fit(features, labels, 3, 0.01), fit(features, labels, 3, 1.0)
    torch.testing.assert_close(fit(features, labels, 3, 0.01, start).weight, expected.weight, atol=2e-3, rtol=0)


def test_noise_is_answered_by_a_strong_penalty():
    """More channels than pictures: without a penalty each is learnt by heart, and the loss on others is high."""
    features, labels = clusters(60, 200, apart=0)
    judged = choose(features, labels, 3)
    assert judged.strength == classifier.STRENGTHS[0] and judged.loss < 1.5  # a guess has ln 3 = 1.10
    weak = fit(features[:40], labels[:40], 3, 1e-5)
    assert loss_of(weak(features[40:, 0]), labels[40:]) > 2


def test_what_is_easy_gets_a_weak_penalty_and_is_judged_on_what_each_fold_left_out():
    features, labels = clusters(100, 20, apart=8, classes=4)
    judged = choose(features, labels, 4)
    assert judged.strength < 0.1 and judged.loss < 0.1
    assert torch.equal(torch.cat(judged.parts).sort().values, torch.arange(100))
    assert torch.equal(judged.labels, labels[torch.cat(judged.parts)])
    assert loss_of(judged.logits(features[:, 0]), judged.labels) < 0.1
    for head, part in zip(judged.heads, judged.parts, strict=True):
        kept = torch.ones(100, dtype=torch.bool)
        kept[part] = False
        again = fit(features[kept], labels[kept], 4, judged.strength)
        left_out = features[part, 0]
        torch.testing.assert_close(head(left_out).softmax(1), again(left_out).softmax(1), atol=0.02, rtol=0)


@pytest.mark.parametrize(("sizes", "expected"), [((40, 60), 5), ((3, 50), 3), ((2, 2), 2)])
def test_folds_have_the_same_share_of_each_class(sizes, expected):
    labels = torch.cat([torch.full((size,), k) for k, size in enumerate(sizes)])
    parts = folds(labels)
    assert len(parts) == expected
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(labels)))
    for k, size in enumerate(sizes):
        counts = [int((labels[part] == k).sum()) for part in parts]
        assert max(counts) - min(counts) <= 1 and sum(counts) == size


def test_many_pictures_are_judged_by_fewer_folds(monkeypatch):
    monkeypatch.setattr(classifier, "ENOUGH", 50)
    parts = folds(torch.arange(200) % 4)
    assert [len(part) for part in parts] == [40, 40]
