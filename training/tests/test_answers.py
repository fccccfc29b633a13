import torch

from sdpoint.answers import changes, detailed_rows, right_by_class
from sdpoint.checkpoint import load_calibrated
from sdpoint.data import load_training

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2])


def test_right_answers_are_counted_by_class():
    assert right_by_class(torch.tensor([0, 1, 1, 1, 0, 0, 0]), LABELS, 4) == [1, 2, 0, 0]


def test_changes_are_what_the_cheaper_loses_and_gains_and_what_it_takes_for_what():
    full = torch.tensor([0, 1, 1, 1, 2, 2, 2])
    cheap = torch.tensor([0, 0, 1, 0, 1, 1, 0])
    found = changes(full, cheap, LABELS, ("a", "b", "c"))
    assert (found["lost"], found["gained"]) == (4, 1)
    assert found["confusions"] == [["c", "b", 2], ["b", "a", 1], ["c", "a", 1]]


def test_rows_hold_cost_accuracy_classes_and_changes(made):
    trained = load_calibrated(made.run)
    _, held_out = load_training(made.data, trained.config.data)
    rows = detailed_rows(trained, trained.statistics, held_out)
    assert [row["id"] for row in rows] == [i.id for i in trained.instances]
    assert all(sum(row["correctByClass"]) == row["correct"] and row["n"] == 9 for row in rows)
    assert (rows[0]["lost"], rows[0]["gained"], rows[0]["confusions"]) == (0, 0, [])
    assert all(row["correct"] == rows[0]["correct"] - row["lost"] + row["gained"] for row in rows)
