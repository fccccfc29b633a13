import pytest

from sdpoint.report.results import load_results
from sdpoint.run import RunError


def test_figures_are_gathered_over_seeds(folder):
    sweep = load_results(folder)
    assert [s.name for s in sweep.systems] == ["sdpoint", "plain", "scales", "UBN", "tiny"]
    ours = sweep["sdpoint"]
    assert [f.id for f in ours.figures] == ["p01-r500", "p02-r500", "full"] and ours.seeds == [1, 2]
    assert ours["full"].mean == pytest.approx(0.905) and ours["full"].spread == pytest.approx(0.01 / 2**0.5)
    assert sweep["tiny"]["full"].spread is None and sweep["UBN"]["full"].mean == pytest.approx(0.805)
    assert ours["full"].by_class() == [452.5, 452.5]
    assert sweep.part == "held-out" and sweep.pictures == 1000


def test_the_frontier_and_the_best_are_chosen_on_held_out_pictures(write):
    folder = write("sdpoint", 1, {"full": (1.0, 880), "a": (0.5, 890), "b": (0.2, 700)}, test=-50, ubn={"full": (1, 1)})
    sweep = load_results(folder)
    assert sweep.part == "test" and sweep["sdpoint"].best.id == "a"
    assert [f.id for f in sweep["sdpoint"].frontier] == ["b", "a"]
    assert sweep["sdpoint"].best.mean == pytest.approx(0.84)


def test_the_test_part_is_shown_only_if_all_runs_have_it(write):
    write("plain", 1, {"full": (1.0, 900)}, test=0)
    folder = write("plain", 2, {"full": (1.0, 900)})
    assert load_results(folder).part == "held-out"
    with pytest.raises(RunError, match="plain-seed2 not measured on test"):
        load_results(folder, "test")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match="holds no results"):
        load_results(tmp_path)


def test_sweeps_are_alike_if_data_and_epochs_are(folder, write):
    other = write("sdpoint", 1, {"full": (1.0, 900)}, sweep="other", ubn={"full": (1.0, 800)})
    assert load_results(folder).alike(load_results(other))
