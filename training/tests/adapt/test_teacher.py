from dataclasses import replace

import pytest
import torch

from sdpoint.adapt.settings import Distil
from sdpoint.adapt.teacher import Answers, Teacher
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL

ROWS = (4, 1, 7)


def test_a_teacher_that_sees_a_crop_once_answers_as_the_network_does(model, images, config):
    expected = logits_of(model, FULL, {}, images, config.data)
    torch.testing.assert_close(Teacher(model, config, Distil())(images), expected)


def test_several_views_give_the_mean_probability(model, images, config):
    teacher = Teacher(model, config, Distil(teacher_flips=True, teacher_scales=(1.0, 1.5)))
    answers = teacher(images)
    torch.testing.assert_close(answers.exp().sum(1), torch.ones(len(images)))
    mirrored = teacher(images.flip(2))
    torch.testing.assert_close(answers, mirrored, atol=1e-4, rtol=1e-4)
    flips = Teacher(model, config, Distil(teacher_flips=True))(images)
    both = [logits_of(model, FULL, {}, views, config.data).softmax(1) for views in (images, images.flip(2))]
    torch.testing.assert_close(flips.exp(), (both[0] + both[1]) / 2)
    assert not torch.allclose(answers, flips)


@pytest.fixture
def answers(tmp_path):
    return lambda **changes: Answers(tmp_path, {"seed": 1, **changes}, count=9, classes=5)


def counting(calls):
    def compute():
        calls.append(1)
        return torch.arange(15.0).reshape(3, 5) / 3 + 1

    return compute


def test_answers_are_computed_once_and_the_same_when_they_are_known(answers):
    calls = []
    first = answers().of(2, ROWS, counting(calls))
    again = answers().of(2, ROWS, counting(calls))
    assert len(calls) == 1 and torch.equal(first, again)
    torch.testing.assert_close(first, counting([])(), atol=0, rtol=1e-3)
    assert torch.equal(answers().of(2, (7, 4), counting(calls)), first[[2, 0]]) and len(calls) == 1


def test_other_sets_pictures_and_teachers_have_answers_of_their_own(answers):
    calls = []
    answers().of(2, ROWS, counting(calls))
    answers().of(3, ROWS, counting(calls))
    answers().of(2, (0, 1, 2), counting(calls))
    answers(seed=2).of(2, ROWS, counting(calls))
    assert len(calls) == 4


def test_only_missing_answers_are_replaced(answers):
    first = answers().of(0, (1, 2, 3), lambda: torch.full((3, 5), 2.0))
    second = answers().of(0, (3, 4, 5), lambda: torch.full((3, 5), 7.0))
    assert first.eq(2).all() and second.tolist() == [[2.0] * 5, [7.0] * 5, [7.0] * 5]


def test_an_answer_of_another_shape_is_a_bug(answers):
    with pytest.raises(ValueError, match="expected"):
        answers().of(0, ROWS, lambda: torch.ones(3, 4))


def test_settings_say_what_is_wrong():
    for wrong in ({"steps": -1}, {"shared": "some"}, {"teacher_scales": ()}, {"blended": 2.0}, {"crop_least": 0.0}):
        with pytest.raises(ValueError, match=f"distil.{next(iter(wrong))}"):
            replace(Distil(), **wrong)
