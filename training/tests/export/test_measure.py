from dataclasses import replace

import pytest

from sdpoint.evaluate import Accuracy
from sdpoint.export.measure import FEW, Measured, best_of, compared_by
from sdpoint.instance import FULL, Instance

CHEAP, MIDDLE = Instance(1, 0.5), Instance(2, 0.5)


def measured(instance: Instance, flops: int, correct: int, n: int, precision: str = "float32") -> Measured:
    accuracy = Accuracy(correct, n, n)
    return Measured(instance, precision, flops, flops / 300, 1.0, accuracy, accuracy, (0.1, 0.1))


def test_on_few_pictures_neighbours_in_the_wrong_order_are_alike():
    few = [measured(CHEAP, 100, 41, 50), measured(MIDDLE, 200, 39, 50), measured(FULL, 300, 45, 50)]
    assert compared_by(few) == pytest.approx({"p01-r500": 0.8, "p02-r500": 0.8, "full": 0.9})
    assert best_of(few) == ["p01-r500", "full"]


def test_what_is_smoothed_stays_within_its_interval():
    few = [measured(CHEAP, 100, 950, 1000), measured(MIDDLE, 200, 600, 1000), measured(FULL, 300, 990, 1000)]
    by = compared_by(few)
    assert by["p01-r500"] == few[0].test.interval[0] and by["p02-r500"] == few[1].test.interval[1]


def test_many_pictures_are_believed():
    many = [measured(CHEAP, 100, FEW - 1, FEW), measured(FULL, 300, FEW - 2, FEW)]
    assert compared_by(many) == {m.id: m.test.top1 for m in many}


@pytest.mark.parametrize("n", [100, FEW])
def test_a_twin_is_never_better_than_its_instance(n):
    exact = measured(FULL, 300, n - 5, n)
    better, worse = (replace(exact, precision="int8", test=Accuracy(n - lost, n, n)) for lost in (4, 7))
    assert compared_by([exact, better])["full-i8"] == exact.test.top1
    assert compared_by([exact, worse])["full-i8"] == worse.test.top1
    assert best_of([exact, better]) == ["full"]


def test_networks_are_smoothed_on_their_own():
    own = [measured(CHEAP, 100, 41, 50), measured(MIDDLE, 200, 39, 50), measured(FULL, 300, 45, 50)]
    others = [measured(CHEAP, 90, 43, 50), measured(FULL, 210, 44, 50)]
    small = [replace(m, network="b") for m in others]
    by = compared_by(own + small)
    assert {id: by[id] for id in ("b-p01-r500", "b-full")} == {"b-p01-r500": 43 / 50, "b-full": 44 / 50}
    assert by["p01-r500"] == by["p02-r500"] == pytest.approx(0.8)
    assert best_of(own + small) == ["b-p01-r500", "b-full", "full"]
