import pytest

from sdpoint.interval import interval


@pytest.mark.parametrize(
    ("hits", "n", "expected"),
    [(50, 100, (0.4038, 0.5962)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0))],  # Wilson 1927, 95 %
)
def test_intervals_are_wilsons(hits, n, expected):
    assert interval(hits, n) == pytest.approx(expected, abs=1e-4)
