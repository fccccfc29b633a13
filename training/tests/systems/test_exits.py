import pytest
import torch
import torch.nn.functional as F

from sdpoint.config import ConfigError
from sdpoint.systems.exits import Exit


def test_exits_lie_at_a_quarter_half_and_three_quarters_unless_told(make):
    assert [c.id for c in make("exits").configurations] == ["full", "exit02", "exit03", "exit04"]
    assert [c.id for c in make("exits", exits=(1, 5)).configurations] == ["full", "exit01", "exit05"]


def test_one_pass_gives_what_each_exit_gives_alone(make, built, x):
    system = make("exits")
    model = built(system)
    with torch.no_grad():
        together = model.all_logits(x)
        assert set(together) == set(system.configurations)
        for exit, logits in together.items():
            torch.testing.assert_close(model(x, exit), logits)


def test_all_classifiers_are_trained_jointly(make, built, x, y):
    system = make("exits", exit_weight=0.3)
    model = built(system)
    losses = {exit: F.cross_entropy(model(x, exit), y) for exit in system.configurations}
    expected = losses.pop(Exit(0)) + 0.3 * sum(losses.values())
    torch.testing.assert_close(system.step(model, x, y, Exit(0)).loss, expected)


def test_an_exit_costs_what_runs_before_it(make):
    system = make("exits")
    full, *inner = [system.flops(c) for c in system.configurations]
    assert full == system.plain_flops and inner == sorted(inner) and inner[-1] < full


def test_an_exit_after_the_last_block_is_refused(make):
    with pytest.raises(ConfigError, match="inner blocks are 1 to 5"):
        make("exits", exits=(6,))
