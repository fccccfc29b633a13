from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from sdpoint.config import ConfigError
from sdpoint.instance import FULL, Instance
from sdpoint.systems.base import PASSES, count_flops
from sdpoint.systems.sdpoint import Lesson

TAUGHT = {"distill_from": 0.5, "distill_temperature": 2.0, "distill_weight": 0.7, "epochs": 4}
CHEAP = [Instance(1, 0.5), Instance(2, 0.75), Instance(6, 0.5)]


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in model.parameters()]


def pupil(full, cheap, y, t=2.0, w=0.7):
    """The loss of the pupil by its formula; no gradient flows into the teacher."""
    soft = -((full.detach() / t).softmax(1) * (cheap / t).log_softmax(1)).sum(1).mean() * t**2
    return w * soft + (1 - w) * F.cross_entropy(cheap, y)


def test_without_a_teacher_the_loss_is_that_of_the_drawn_instance(make, built, x, y):
    system = make("sdpoint")
    model = built(system)
    for instance in (FULL, *CHEAP):
        loss, logits, flops = system.step(model, x, y, Lesson(instance))
        torch.testing.assert_close(loss, F.cross_entropy(model(x, instance), y))
        torch.testing.assert_close(logits, model(x, instance))
        assert flops == PASSES * system.flops(instance)


@pytest.mark.parametrize("instance", CHEAP, ids=lambda i: i.id)
def test_together_full_learns_from_labels_and_teaches_the_instance(make, built, x, y, instance):
    system = make("sdpoint", train=TAUGHT)
    model = built(system)
    loss, logits, flops = system.step(model, x, y, Lesson(instance, teacher=True))
    full, cheap = model(x, FULL), model(x, instance)
    expected = 0.5 * F.cross_entropy(full, y) + 0.5 * pupil(full, cheap, y)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(logits, cheap)
    for got, right in zip(gradients(model, loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(got, right, atol=1e-5, rtol=1e-4)
    shared = count_flops(lambda: model.before(x[:1], instance.p))
    assert flops == PASSES * (system.plain_flops + system.flops(instance) - shared)


@pytest.mark.parametrize("instance", CHEAP, ids=lambda i: i.id)
def test_alone_the_instance_learns_from_full_which_stays_as_it_is(make, built, x, y, instance):
    system = make("sdpoint", train=TAUGHT | {"distill_mode": "alternately"})
    model = built(system)
    loss, _, flops = system.step(model, x, y, Lesson(instance, teacher=True))
    expected = pupil(model(x, FULL), model(x, instance), y)
    torch.testing.assert_close(loss, expected)
    for got, right in zip(gradients(model, loss), gradients(model, expected), strict=True):
        torch.testing.assert_close(got, right, atol=1e-5, rtol=1e-4)
    assert flops == system.plain_flops + PASSES * system.flops(instance)


def lessons(system, epoch: int) -> list[Lesson]:
    generator = torch.Generator().manual_seed(epoch)
    return [system.draw(generator, epoch, index) for index in range(200)]


def test_teaching_begins_after_its_share_of_the_epochs(make):
    system = make("sdpoint", train=TAUGHT)
    assert not any(lesson.teacher for lesson in lessons(system, 1))
    assert all(lesson.teacher == (lesson.instance != FULL) for lesson in lessons(system, 2))


def test_teacher_and_pupil_learn_in_turn(make):
    drawn = lessons(make("sdpoint", train=TAUGHT | {"distill_mode": "alternately"}), 3)
    assert set(drawn[::2]) == {Lesson(FULL)}
    assert {lesson.teacher for lesson in drawn[1::2] if lesson.instance != FULL} == {True}


def test_only_the_points_and_ratios_asked_for_are_drawn_and_measured(make):
    system = make("sdpoint", points=(1, 3, 5), model={"ratios": (0.75,)})
    expected = {FULL, Instance(1, 0.75), Instance(3, 0.75), Instance(5, 0.75)}
    assert set(system.configurations) == expected == {lesson.instance for lesson in lessons(system, 0)}


def test_weights_say_how_often_points_are_drawn(make):
    counts = Counter(lesson.instance.p for lesson in lessons(make("sdpoint", points=(2, 4), weights=(2, 1, 1)), 0))
    assert 70 < counts[0] < 130 and 30 < counts[2] < 70


def test_by_gaps_no_point_is_forgotten(make):
    weights = make("sdpoint", sampling="gap").weights
    assert len(weights) == 7 and sum(weights) == pytest.approx(1) and min(weights) >= 0.5 / 7


@pytest.mark.parametrize(
    ("keys", "message"), [({"points": (1, 7)}, "points 1 to 6"), ({"weights": (1, 2)}, "one for each")]
)
def test_keys_that_do_not_fit_the_network_are_refused(make, keys, message):
    with pytest.raises(ConfigError, match=message):
        make("sdpoint", **keys)


def test_listed_instances_are_all_there_are_and_drawn_equally_often(make):
    system = make("sdpoint", instances=("p02-r750", "p01-r500"))
    assert [i.id for i in system.configurations] == ["full", "p01-r500", "p02-r750"]
    generator = torch.Generator().manual_seed(0)
    counts = Counter(system.draw(generator, 0, k).instance.id for k in range(600))
    assert set(counts) == {"full", "p01-r500", "p02-r750"} and min(counts.values()) > 150


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ({"instances": ("p01-r600",)}, "has p01-r600; points and ratios give"),
        ({"instances": ("p01-r500",), "sampling": "gap"}, "drawn uniformly"),
    ],
)
def test_listed_instances_must_be_possible_and_have_no_weights(make, system, message):
    with pytest.raises(ConfigError, match=message):
        make("sdpoint", **system)
