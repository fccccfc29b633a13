import pytest

from sdpoint.frontier import Point, frontier, smoothed


def test_what_another_beats_in_both_is_off():
    points = {"dear": Point(10, 0.9), "cheap": Point(5, 0.8), "bad": Point(7, 0.7), "best": Point(20, 0.95)}
    assert frontier(points) == ["cheap", "dear", "best"]


def test_a_tie_in_one_is_decided_by_the_other():
    assert frontier({"a": Point(5, 0.8), "b": Point(5, 0.9)}) == ["b"]
    assert frontier({"a": Point(5, 0.8), "b": Point(4, 0.8)}) == ["b"]


def test_equals_stay_together_and_one_alone_stays():
    assert sorted(frontier({"a": Point(5, 0.8), "b": Point(5, 0.8)})) == ["a", "b"]
    assert frontier({"a": Point(5, 0.0)}) == ["a"]
    assert frontier({}) == []


def test_full_is_off_when_a_cheaper_instance_is_better():
    assert frontier({"full": Point(10, 0.9), "p01-r500": Point(3, 0.91)}) == ["p01-r500"]


def test_smoothed_accuracy_never_falls_with_cost_and_neighbours_in_the_wrong_order_share_their_mean():
    points = {"d": Point(4, 0.9), "a": Point(1, 0.5), "c": Point(3, 0.6), "b": Point(2, 0.8)}
    assert smoothed(points) == pytest.approx({"a": 0.5, "b": 0.7, "c": 0.7, "d": 0.9})


def test_accuracy_that_never_falls_stays_as_measured():
    points = {"a": Point(1, 0.5), "b": Point(2, 0.5), "c": Point(3, 0.6)}
    assert smoothed(points) == {"a": 0.5, "b": 0.5, "c": 0.6}
