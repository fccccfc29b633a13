from sdpoint.cli import main
from sdpoint.report.page import table, write_report


def test_a_report_has_tables_claims_and_plots(folder, tmp_path):
    text = write_report([folder], tmp_path / "docs").read_text()
    assert "## small" in text and "wrn on cifar10, 2 epochs on 50 pictures." in text
    assert "90.50% ± 0.71" in text  # SDPoint at full cost, over two seeds
    for line in ("| scales  ", "| plain  ", "| UBN  "):
        assert line in text
    assert "not compared: tiny `full` (share 0.100, 30.00%)." in text
    assert "Claim (a)" in text and "Claim (b)" in text and "| cat " in text
    for which in ("costs", "classes", "changes"):
        name = f"results-small-{which}.png"
        assert f"({name})" in text and (tmp_path / "docs" / name).stat().st_size > 1000


def test_the_same_results_give_the_same_bytes(folder, tmp_path):
    for name in ("a", "b"):
        assert main(["report", str(folder), "--out", str(tmp_path / name)]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_sweep_without_sdpoint_is_compared_with_that_of_another_alike(folder, write, tmp_path):
    more = write("averaged", 1, {"full": (1.0, 950), "p01-r500": (0.25, 850), "p02-r500": (0.5, 900)}, sweep="more")
    text = write_report([folder, more], tmp_path).read_text().partition("## more")[2]
    assert "averaged `p01-r500`" in text and "worse" in text and "Claim (b)" not in text


def test_an_account_stands_beside_the_figures_it_is_of(folder, tmp_path):
    assert "What to make of it" not in write_report([folder], tmp_path).read_text()
    (folder / "account.md").write_text("Too few pictures to say.\n")
    assert "### What to make of it\n\nToo few pictures to say.\n" in write_report([folder], tmp_path).read_text()


def test_the_spread_of_one_rival_does_not_excuse_another(folder, write, tmp_path):
    for seed, correct in ((1, 880), (2, 820)):  # far apart
        write("wild", seed, {"full": (1.0, correct)})
    summary = write_report([folder], tmp_path).read_text().partition("SDPoint against")[2].partition("Differences")[0]
    deviation = {
        cells[1].strip(): cells[-2].strip() for cells in (row.split("|") for row in summary.splitlines()[2:-1])
    }
    assert deviation["scales"] == "0.71" and float(deviation["wild"]) > 1


def test_it_is_compared_on_the_part_that_both_have(folder, write, tmp_path):
    for name, ours in (("both", {"full": (1.0, 900)}), ("held", {"full": (1.0, 950)})):
        write(
            "sdpoint" if name == "both" else "averaged",
            1,
            ours,
            sweep=name,
            test=7 if name == "both" else None,
            ubn=ours,
        )
    text = write_report([tmp_path / "both", tmp_path / "held"], tmp_path).read_text()
    both, _, held = text.partition("## held")
    assert "**test** part" in both and "**held-out** part" in held
    assert "averaged `full` | 1.000 |    95.00% |    90.00%" in held


def test_missing_results_are_refused(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_tables_line_up():
    assert table(["a", "b"], [["long", "1"], ["x", "22"]]) == (
        "| a    |   b |\n| ---- | --: |\n| long |   1 |\n| x    |  22 |\n"
    )
