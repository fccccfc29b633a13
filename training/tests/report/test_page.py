import pytest

from sdpoint.cli import main
from sdpoint.report.page import write_report
from sdpoint.report.tables import table


@pytest.fixture
def report(folder, tmp_path):
    """report(*folders) writes a report and gives the text of the page of a list, of the first unless told."""

    def written(*folders, of=None) -> str:
        path = write_report(folders or [folder], tmp_path / "docs")
        return (path.parent / "results" / f"{of or (folders or [folder])[0].name}.md").read_text()

    return written


def test_a_list_has_a_page_with_tables_claims_and_plots(report, tmp_path):
    text = report()
    assert text.startswith("# small\n") and "wrn on cifar10, 2 epochs on 50 pictures." in text
    assert "90.50% ± 0.71" in text  # SDPoint at full cost, over two seeds
    for line in ("| scales  ", "| plain  ", "| UBN  "):
        assert line in text
    assert "not compared: tiny `full` (share 0.100, 30.00%)." in text
    assert "Claim (a)" in text and "Claim (b)" in text and "| cat " in text
    for which in ("costs", "classes", "changes"):
        name = f"small-{which}.png"
        assert f"({name})" in text and (tmp_path / "docs" / "results" / name).stat().st_size > 1000


def test_the_same_results_give_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        assert main(["report", str(folder), "--out", str(tmp_path / name)]) == 0
    files = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == 5  # two pages, three plots
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_what_an_earlier_report_left_goes(folder, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "gone.md").write_text("of a list that is no more")
    write_report([folder], tmp_path)
    assert not (tmp_path / "results" / "gone.md").exists()


def test_a_sweep_without_sdpoint_is_compared_with_that_of_another_alike(folder, write, report):
    more = write("averaged", 1, {"full": (1.0, 950), "p01-r500": (0.25, 850), "p02-r500": (0.5, 900)}, sweep="more")
    text = report(folder, more, of="more")
    assert "averaged `p01-r500`" in text and "worse" in text and "Claim (b)" not in text


def test_an_account_stands_beside_the_figures_it_is_of(folder, report):
    assert "What to make of it" not in report()
    (folder / "account.md").write_text("Too few pictures to say.\n")
    assert "## What to make of it\n\nToo few pictures to say.\n" in report()


def test_the_spread_of_one_rival_does_not_excuse_another(write, report):
    for seed, correct in ((1, 880), (2, 820)):  # far apart
        write("wild", seed, {"full": (1.0, correct)})
    summary = report().partition("SDPoint against |")[2].partition("The same cost by cost")[0]
    deviation = {
        cells[1].strip(): cells[-2].strip() for cells in (row.split("|") for row in summary.splitlines()[2:-1])
    }
    assert deviation["scales"] == "0.71" and float(deviation["wild"]) > 1


def test_it_is_compared_on_the_part_that_both_have(write, tmp_path, report):
    for name, ours in (("both", {"full": (1.0, 900)}), ("held", {"full": (1.0, 950)})):
        write(
            "sdpoint" if name == "both" else "averaged",
            1,
            ours,
            sweep=name,
            test=7 if name == "both" else None,
            ubn=ours,
        )
    lists = [tmp_path / "both", tmp_path / "held"]
    assert "**test** part" in report(*lists)
    held = report(*lists, of="held")
    assert "**held-out** part" in held
    assert "averaged `full` | 1.000 |    95.00% |    90.00%" in held


def test_missing_results_are_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_tables_line_up():
    assert table(["a", "b"], [["long", "1"], ["x", "22"]]) == (
        "| a    |   b |\n| ---- | --: |\n| long |   1 |\n| x    |  22 |\n"
    )


def test_words_stand_to_the_left():
    assert table(["a", "b"], [["x", "word"]], words=True).splitlines()[1:] == ["| --- | ---- |", "| x   | word |"]
