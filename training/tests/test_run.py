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


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", screen := Terminal())
    assert list(progress("abc", "count")) == ["a", "b", "c"]
    assert "100%" in screen.getvalue()
