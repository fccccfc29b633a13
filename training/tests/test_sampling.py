from collections import Counter

import pytest
import torch

from sdpoint.instance import FULL, enumerate_instances
from sdpoint.sampling import gaps, sample_instance

POINTS, RATIOS = 6, (0.5, 0.75)
DRAWS = 14_000
CHI_SQUARE_12 = 32.9  # 0.999 quantile with 12 degrees of freedom, for 13 cells


def draws(seed: int) -> Counter:
    generator = torch.Generator().manual_seed(seed)
    return Counter(sample_instance(generator, range(POINTS + 1), RATIOS) for _ in range(DRAWS))


def test_points_are_uniform_and_ratios_are_uniform_within_a_point():
    counts = draws(seed=1)
    instances = enumerate_instances(POINTS, RATIOS)
    assert set(counts) == set(instances)  # the reference code never trains one of the points
    expected = {i: DRAWS / (POINTS + 1) / (1 if i == FULL else len(RATIOS)) for i in instances}
    assert sum((counts[i] - expected[i]) ** 2 / expected[i] for i in instances) < CHI_SQUARE_12


def test_none_is_drawn_once_in_points_plus_one():
    share = draws(seed=2)[FULL] / DRAWS
    assert abs(share - 1 / 7) < 0.01  # the reference code gives 2 / 7


def test_same_seed_same_instances():
    assert draws(seed=3) == draws(seed=3) != draws(seed=4)


def test_weights_say_how_often_points_are_drawn():
    generator = torch.Generator().manual_seed(5)
    counts = Counter(sample_instance(generator, (0, 2, 3), (0.5,), (2, 1, 1)).p for _ in range(4000))
    assert abs(counts[0] / 4000 - 0.5) < 0.03 and abs(counts[2] / 4000 - 0.25) < 0.03


def test_gaps_favour_what_stands_alone_and_forget_nothing():
    weights = gaps([1.0, 0.3, 0.31, 0.32])
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > 2 * weights[2] and min(weights) >= 0.5 / 4
    assert gaps([0.5, 0.5]) == (0.5, 0.5)  # no gaps: all alike
    assert gaps([1.0]) == (1.0,)
