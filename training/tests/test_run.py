import io

from sdpoint.run import Run, progress


def test_records_are_appended_and_read_by_kind(tmp_path):
    run = Run(tmp_path)
    assert run.records("epoch") == []
    run.log("epoch", epoch=1)
    run.log("other", value=2)
    Run(tmp_path).log("epoch", epoch=2)
    assert [r["epoch"] for r in run.records("epoch")] == [1, 2]


def test_without_a_terminal_progress_is_a_plain_line(capsys):
    assert list(progress("abc", "count")) == ["a", "b", "c"]
    assert capsys.readouterr().err == "count: 3/3, 0 s\n"


def test_the_time_that_is_left_follows_from_the_cost_of_the_items(capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))  # each look at it takes twenty seconds
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    assert list(progress([1, 2, 7], "count", cost=float)) == [1, 2, 7]
    lines = ["count: 1/3, 20 s, about 180 s left", "count: 2/3, 40 s, about 93 s left", "count: 3/3, 60 s", ""]
    assert capsys.readouterr().err.split("\n") == lines


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", screen := Terminal())
    assert list(progress("abc", "count")) == ["a", "b", "c"]
    assert "100%" in screen.getvalue()
