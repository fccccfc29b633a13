from sdpoint.config import Config
from sdpoint.evaluate import Accuracy
from sdpoint.systems import build_system
from sdpoint.tables import accuracy_rows, as_text, cost_rows


def test_cost_rows_start_with_full_at_share_1():
    rows = cost_rows(build_system(Config(), 10))
    assert len(rows) == 13
    assert rows[0] == {"id": "full", "p": 0, "r": 1.0, "flops": 202_213_888, "share": 1.0}
    assert all(0 < row["share"] < 1 for row in rows[1:])


def test_accuracy_rows_mark_the_frontier():
    costs = [{"id": "full", "flops": 10}, {"id": "a", "flops": 5}, {"id": "b", "flops": 7}]
    rows = accuracy_rows(costs, {"full": Accuracy(9, 10, 10), "a": Accuracy(8, 9, 10), "b": Accuracy(7, 8, 10)})
    assert [row["frontier"] for row in rows] == [True, True, False]
    assert (rows[1]["top1"], rows[1]["top5"], rows[1]["correct"], rows[1]["n"]) == (0.8, 0.9, 8, 10)


def test_text_lines_up():
    lines = as_text([{"id": "full", "top1": 0.9, "frontier": True}, {"id": "p01-r500", "top1": 1.0, "frontier": False}])
    assert lines.splitlines() == [
        "id           top1  frontier",
        "full       90.00%         *",
        "p01-r500  100.00%",
    ]
