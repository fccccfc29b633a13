import pytest
import torch
import torch.nn.functional as F

from sdpoint.config import ConfigError
from sdpoint.instance import FULL
from sdpoint.systems.sact import TRAINED_AT, Halting


def set_scores(model, value: float) -> None:
    """Make every halting score this value."""
    for score in model.scores.values():
        for parameter in score.parameters():
            torch.nn.init.zeros_(parameter)
        torch.nn.init.constant_(score.whole.bias, torch.logit(torch.tensor(value, dtype=torch.float64)).item())


def test_blocks_of_one_shape_form_a_group_and_all_but_its_last_are_scored(make, built):
    model = built(make("sact"))
    assert model.groups == [[0, 1], [2, 3], [4, 5]] and list(model.scores) == ["0", "2", "4"]


def test_scores_near_0_leave_the_plain_network(make, built, x):
    model = built(make("sact"))
    set_scores(model, 1e-7)
    with torch.no_grad():
        traced = model(x, Halting(TRAINED_AT), True)
        torch.testing.assert_close(traced.logits, model.network(x, FULL), atol=1e-4, rtol=1e-4)
    assert traced.activity.shape == (4, 6) and traced.activity.eq(1).all()
    torch.testing.assert_close(traced.ponder.item(), 3 * (2 + 1.0), atol=1e-4, rtol=0)  # blocks done, and remainder 1


def test_scores_over_the_threshold_leave_out_later_blocks(make, built, x):
    model = built(make("sact"))
    set_scores(model, 0.6)
    with torch.no_grad():
        stopped = model(x, Halting(0.5), True)
        h = model.network.before(x, 1)
        for block in (0, 2, 4):
            h = model.network.blocks[block](h)
        torch.testing.assert_close(stopped.logits, model.network.after(h, model.network.points + 1))
    assert stopped.activity.tolist() == [[1, 0, 1, 0, 1, 0]] * 4
    assert stopped.ponder.item() == pytest.approx(3 * (1 + 1.0))


def test_a_group_gives_the_mean_of_its_maps_weighted_by_the_scores(make, built, x):
    model = built(make("sact"))
    set_scores(model, 0.25)
    with torch.no_grad():
        got = model(x, Halting(TRAINED_AT), True)
        h = model.network.before(x, 1)
        for group in model.groups:
            first = model.network.blocks[group[0]](h)
            h = 0.25 * first + 0.75 * model.network.blocks[group[1]](first)
        torch.testing.assert_close(got.logits, model.network.after(h, model.network.points + 1))
    assert got.ponder.item() == pytest.approx(3 * (2 + 0.75))


def test_positions_stop_one_by_one(make, built, x):
    model = built(make("sact"))
    torch.nn.init.constant_(model.scores["0"].whole.bias, 0.0)
    torch.nn.init.normal_(model.scores["0"].local.weight)
    with torch.no_grad():
        share = model(x, Halting(0.5), True).activity[:, 1]
    assert ((share > 0) & (share < 1)).all()


def test_the_loss_adds_tau_times_the_ponder_cost_which_pulls_scores_up(make, built, x, y):
    system = make("sact", tau=0.5)
    model = built(system)
    loss, logits, _ = system.step(model, x, y, Halting(TRAINED_AT))
    ponder = model(x, Halting(TRAINED_AT), True).ponder
    torch.testing.assert_close(loss, F.cross_entropy(logits, y) + 0.5 * ponder)
    ponder.backward()
    assert all(score.whole.bias.grad < 0 for score in model.scores.values())  # a step against it raises the score


def test_cost_is_the_mean_over_the_pictures_of_what_ran(make, built, images):
    system = make("sact")
    model = built(system)
    set_scores(model, 0.6)
    half, dense = Halting(0.5), system.flops(Halting(0.5))
    left_out = sum(system.block_flops[block] for block in (1, 3, 5))
    assert system.mean_flops(model, half, {}, images) == dense - left_out
    assert system.mean_flops(model, Halting(TRAINED_AT), {}, images) == dense


def test_a_network_without_groups_is_refused(make):
    with pytest.raises(ConfigError, match="none to leave out"):
        make("sact", model={"depth": 10})
