from dataclasses import replace

import pytest
import torch

from sdpoint.adapt.statistics import divergence, trained_statistics
from sdpoint.adapt.tune import Lessons, crops, mixed, own_parameters, tune
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance

INSTANCE = Instance(2, 0.5)


@pytest.fixture
def settings(config):
    return replace(config, train=replace(config.train, epochs=20, batch=10, lr=0.02))


def test_an_instance_learns_to_answer_as_full_and_full_does_not_change(model, images, settings):
    answers, start = logits_of(model, FULL, {}, images, settings.data), trained_statistics(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    own = tune(model, INSTANCE, Lessons(images, answers), settings)

    def cost(given):
        return divergence(logits_of(model, INSTANCE, given, images, settings.data), answers)

    assert cost(own) < 0.5 * cost(start)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert set(own) == set(start) | set(own_parameters(model, INSTANCE))
    assert all(torch.equal(own[name], value) for name, value in start.items())


def test_tuning_is_repeatable(model, images, settings):
    lessons = Lessons(images, logits_of(model, FULL, {}, images, settings.data))
    first, second = (tune(model, INSTANCE, lessons, settings) for _ in range(2))
    assert all(torch.equal(first[name], value) for name, value in second.items())


def test_a_rate_that_is_too_high_is_an_error(model, images, settings):
    lessons = Lessons(images, logits_of(model, FULL, {}, images, settings.data) * float("nan"))
    with pytest.raises(FloatingPointError, match=r"p02-r500: loss is nan .* lower train\.lr"):
        tune(model, INSTANCE, lessons, settings)


def test_own_parameters_are_norms_behind_the_point(model):
    assert set(own_parameters(model, INSTANCE)) == {
        f"{layer}.{part}"
        for layer in ("blocks.1.bn1", "blocks.1.bn2", "blocks.2.bn1", "blocks.2.bn2", "bn")
        for part in ("weight", "bias")
    }


def test_half_of_the_crops_are_mixed_and_each_keeps_most_of_its_own_light():
    own = torch.arange(400) % 2 * 200
    images = own.to(torch.uint8)[:, None, None, None].expand(-1, 4, 4, 3).contiguous()
    blends = mixed(images, torch.Generator().manual_seed(0))
    assert blends.shape == images.shape and blends.dtype == torch.uint8
    values = blends.flatten(1).float()
    assert torch.equal(values.amin(1), values.amax(1))  # all of a picture alike
    shift = (values[:, 0] - own).abs()
    assert shift.max() <= 100
    assert 70 < (shift > 0).sum() < 130  # half of the half whose other is of the other colour
    assert torch.equal(blends, mixed(images, torch.Generator().manual_seed(0)))


def test_crops_are_squares_of_the_picture_and_as_large_as_the_input():
    picture = torch.zeros(40, 30, 30, 3, dtype=torch.uint8)
    picture[:, :, 15:] = 200  # the right half is bright
    cut = crops(picture, 16, torch.Generator().manual_seed(0))
    assert cut.shape == (40, 16, 16, 3) and cut.dtype == torch.uint8
    bright_right = cut[:, :, -1, 0].float().mean(1) > cut[:, :, 0, 0].float().mean(1)
    assert 8 < bright_right.sum() < 32  # the others are mirrored
    assert len({tuple(c.flatten().tolist()) for c in cut}) > 20
    assert torch.equal(cut, crops(picture, 16, torch.Generator().manual_seed(0)))
