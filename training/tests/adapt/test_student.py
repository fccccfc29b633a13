import pytest
import torch

from sdpoint.adapt.settings import Distil
from sdpoint.adapt.student import Student
from sdpoint.adapt.tune import own_parameters
from sdpoint.data import normalise
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance

INSTANCES = [FULL, Instance(1, 0.5), Instance(2, 0.75)]


@pytest.fixture
def x(images, config):
    return normalise(images, config.data)


@pytest.mark.parametrize("settings", [{}, {"shared": "all"}, {"shared": "classifier", "own_classifier": True}])
def test_before_training_every_instance_answers_as_the_network(model, images, x, config, settings):
    student = Student(model, INSTANCES, Distil(**settings))
    for instance in INSTANCES:
        torch.testing.assert_close(student.logits(x, instance), logits_of(model, instance, {}, images, config.data))


def test_freedom_grows_in_steps(model):
    def names(**settings):
        return set(Student(model, INSTANCES, Distil(**settings)).tensors())

    norms = names()
    assert norms == {f"{i.id}/{name}" for i in INSTANCES[1:] for name in own_parameters(model, i)}
    heads = {f"{i.id}/fc.{part}" for i in INSTANCES[1:] for part in ("weight", "bias")}
    assert names(own_classifier=True) == norms | heads
    assert names(shared="classifier") == norms | {"shared/fc.weight", "shared/fc.bias"}
    assert names(shared="all") == norms | {f"shared/{name}" for name, _ in model.named_parameters()}


def test_full_is_only_trained_together_with_shared_weights(model):
    assert Student(model, INSTANCES, Distil()).trained == INSTANCES[1:]
    assert Student(model, INSTANCES, Distil(own_classifier=True)).trained == INSTANCES[1:]
    assert Student(model, INSTANCES, Distil(shared="classifier")).trained == INSTANCES


def test_shared_weights_and_classifiers_have_a_rate_of_their_own(model, config):
    distil = Distil(shared="all", own_classifier=True, shared_lr=1e-5)
    student = Student(model, INSTANCES, distil)
    norms, others = student.optimizer(config.train, distil).param_groups
    assert norms["peak"] == config.train.lr and others["peak"] == 1e-5
    slow = {id(p) for p in others["params"]}
    assert slow == {id(v) for n, v in student.tensors().items() if n.startswith("shared/") or "/fc." in n}
    (alone,) = Student(model, INSTANCES, Distil()).optimizer(config.train, Distil()).param_groups
    assert alone["peak"] == config.train.lr


def test_the_result_gives_the_students_answers(model, images, x, config):
    student = Student(model, INSTANCES, Distil(shared="all", own_classifier=True))
    with torch.no_grad():
        for value in student.tensors().values():
            value.add_(0.01 * torch.randn_like(value))
    shared, statistics = student.result(student.tensors())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    answers = [student.logits(x, i) for i in INSTANCES]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "the original stays"
    model.load_state_dict(shared, strict=False)
    for instance, expected in zip(INSTANCES, answers, strict=True):
        torch.testing.assert_close(logits_of(model, instance, statistics[instance.id], images, config.data), expected)
