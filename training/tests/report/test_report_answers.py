"""The answers that open docs/results.md follow from the figures."""

import pytest

from sdpoint.report.answers import at_every_cost, at_low_cost, changes_help, own_statistics, regularizes
from sdpoint.report.page import write_report
from sdpoint.report.results import OURS, load_results


@pytest.fixture
def said(write):
    """said(question, {system: {id: (share, correct)}}) is its answer; two seeds, a tenth of a point apart."""

    def answered(question, systems, ubn=None):
        for name, figures in systems.items():
            for seed in (1, 2):
                own = {id: (share, correct + seed) for id, (share, correct) in figures.items()}
                folder = write(name, seed, own, sweep="asked", ubn=ubn or own)
        sweep = load_results(folder)
        return question(sweep, sweep[OURS])

    return answered


OURS_AT = {"full": (1.0, 900), "p01-r500": (0.25, 800)}


def test_one_rival_that_is_better_at_one_cost_is_enough_to_say_so(said):
    behind = {"full": (1.0, 850), "s500": (0.25, 700)}
    answer = said(at_every_cost, {"sdpoint": OURS_AT, "exits": behind, "scales": OURS_AT})
    assert answer.holds and answer.words == "never worse than exits; alike scales"
    answer = said(at_every_cost, {"sdpoint": OURS_AT, "exits": behind | {"s500": (0.25, 850)}})
    assert not answer.holds and answer.words.startswith("**not against all**") and "worse than exits" in answer.words


@pytest.mark.parametrize(("plain", "words"), [(850, "yes: +5.0"), (900, "alike: +0.0"), (950, "**no**: -5.0")])
def test_the_full_network_is_compared_with_plain_training(said, plain, words):
    answer = said(regularizes, {"sdpoint": OURS_AT, "plain": {"full": (1.0, plain)}})
    assert answer.words == f"{words} points" and answer.holds == (plain < 900) and "n = 2 seeds" in answer.figure


def test_what_the_cheapest_loses_and_from_where_on_it_is_less_than_a_point(said):
    answer = said(at_low_cost, {"sdpoint": OURS_AT | {"p02-r500": (0.5, 895)}})
    assert answer.holds is None and answer.words == "10.0 points at 25% of the FLOPs; less than one from 50% on"


def test_shared_statistics_are_worse_or_not(said):
    lower = {id: (share, correct - 50) for id, (share, correct) in OURS_AT.items()}
    answer = said(own_statistics, {"sdpoint": OURS_AT}, ubn=lower)
    assert answer.holds and answer.words == "yes: better in 2 of 2 instances"
    higher = {id: (share, correct + 50) for id, (share, correct) in OURS_AT.items()}
    assert not said(own_statistics, {"sdpoint": OURS_AT}, ubn=higher).holds


def test_variants_are_named_that_help_and_never_harm(write):
    for seed in (1, 2):
        write("sdpoint", seed, OURS_AT, sweep="ours", ubn=OURS_AT)
        for name, more in (("helps", 50), ("mixed", 0), ("harms", -50)):
            figures = {"full": (1.0, 900 + more), "p01-r500": (0.25, 800 + more + (60 if name == "mixed" else 0))}
            folder = write(name, seed, figures | ({"full": (1.0, 800)} if name == "mixed" else {}), sweep="variants")
    ours = load_results(folder.parent / "ours")
    answer = changes_help(load_results(folder), ours[OURS])
    assert answer.words == "never worse and somewhere better: helps" and "harms -5.0" in answer.figure
    assert changes_help(ours, ours[OURS]) is None


def test_the_front_page_counts_what_is_reached_and_links_every_list(folder, tmp_path):
    text = write_report([folder], tmp_path / "docs").read_text()
    assert "| Is the full network better for it? " in text and "(results/small.md)" in text and "(../small)" in text
    assert "Of 3 answers with a goal 2 reach it" in text
