import math

import pytest

from sdpoint.report.claims import (
    Noise,
    at_cost,
    cheapest_as_good,
    compare,
    pooled_noise,
    regularization,
    tally,
    unreached,
)
from sdpoint.report.results import load_results


@pytest.fixture
def sweep(folder):
    return load_results(folder)


def test_the_frontier_is_read_between_its_instances(sweep):
    line = sweep["sdpoint"].frontier
    assert at_cost(line, 0.25)[0] == pytest.approx(0.805)
    assert at_cost(line, 0.375)[0] == pytest.approx((0.805 + 0.885) / 2)
    assert at_cost(line, 1.003)[0] == at_cost(line, 1.0)[0] == pytest.approx(0.905)
    assert at_cost(line, 0.2) is None


def test_deviations_are_pooled_over_all_that_have_several_seeds(sweep):
    assert pooled_noise(sweep.systems).deviation == pytest.approx(0.01 / math.sqrt(2))
    assert pooled_noise([sweep["tiny"]]).deviation is None


def test_standard_errors_take_the_seeds_or_else_the_pictures(sweep):
    ours, tiny = sweep["sdpoint"]["full"], sweep["tiny"]["full"]
    assert Noise(0.01).error(ours, tiny) == pytest.approx(0.01 * math.sqrt(1 / 2 + 1))
    assert Noise(None).error(ours, tiny) == pytest.approx(math.sqrt((0.905 * 0.095 + 0.3 * 0.7) / 1000))


def test_ours_is_compared_at_every_cost_of_a_rival_that_it_reaches(sweep):
    found = {d.theirs.id: d for d in compare(sweep["sdpoint"], sweep["scales"], pooled_noise(sweep.systems))}
    assert [(d.verdict, d.exact) for d in found.values()] == [("better", True), ("alike", False), ("better", True)]
    assert found["s600"].value == pytest.approx(0.845 - 0.85)
    assert compare(sweep["sdpoint"], sweep["tiny"], Noise(None)) == []
    assert [f.id for f in unreached(sweep["sdpoint"], sweep["tiny"])] == ["full"]
    assert unreached(sweep["sdpoint"], sweep["scales"]) == []
    assert tally(list(found.values())) == {"better": 2, "alike": 1, "worse": 0}


def test_with_the_same_instances_each_is_compared_with_itself(sweep):
    found = compare(sweep["sdpoint"], sweep["UBN"], Noise(0.01))
    assert [d.value for d in found] == pytest.approx([0.1] * 3) and all(d.exact for d in found)


def test_full_and_the_best_are_compared_with_plain_training(sweep):
    full, best = regularization(sweep["sdpoint"], sweep["plain"], Noise(0.01))
    assert (full[1].id, best[1].id) == ("full", "full")
    assert full[2:] == pytest.approx((0.01, 0.01))
    assert cheapest_as_good(sweep["sdpoint"], sweep["plain"]).id == "full"
    assert cheapest_as_good(sweep["scales"], sweep["plain"]) is None
