import torch

from sdpoint.calibrate import calibrate
from sdpoint.config import DataConfig
from sdpoint.data import Split, normalise
from sdpoint.evaluate import Accuracy, accuracy_of, evaluate, logits_of
from sdpoint.instance import FULL, enumerate_instances

DATA = DataConfig(size=16)


def test_top_1_and_top_5_are_counted():
    logits = torch.tensor([[9.0, 1, 2, 3, 4, 5, 6], [1, 9, 2, 3, 4, 5, 6], [9, 8, 7, 6, 5, 4, 3]])
    accuracy = accuracy_of(logits, torch.tensor([0, 0, 4]))
    assert accuracy == Accuracy(correct=1, correct5=2, n=3)
    assert (accuracy.top1, accuracy.top5) == (1 / 3, 2 / 3)


def test_with_fewer_than_five_classes_top_5_is_everything():
    assert accuracy_of(torch.randn(4, 3), torch.tensor([0, 1, 2, 0])).top5 == 1


def test_an_instance_answers_with_its_own_statistics(model, images):
    instances = enumerate_instances(3, (0.5,))
    statistics = calibrate(model, instances, images, DATA)
    for instance in instances:
        logits = logits_of(model, instance, statistics[instance.id], images, DATA)
        reference = type(model)(model.config, 3)
        reference.load_state_dict(model.state_dict() | statistics[instance.id])
        with torch.no_grad():
            expected = reference.eval()(normalise(images, DATA), instance)
        torch.testing.assert_close(logits, expected)
        assert not torch.allclose(logits, logits_of(model, instance, {}, images, DATA))


def test_evaluation_covers_the_whole_split_and_restores_the_mode(model, images):
    labels = logits_of(model, FULL, {}, images, DATA).argmax(1)
    labels[:5] = (labels[:5] + 1) % 3  # five wrong answers
    split = Split(images, labels, ("a", "b", "c"), ("",) * 20)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert evaluate(model, [FULL], {"full": {}}, split, DATA)["full"].correct == 15
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
