from dataclasses import replace

import pytest
import torch

from sdpoint.data import DataError, hold_out, load_split
from sdpoint.distributed import Processes
from sdpoint.loader import Loader
from sdpoint.state import State, UnderWay
from sdpoint.systems import build_system


@pytest.fixture(params=["memory", "stream"])
def part(made, config, request):
    data = replace(config.data, loading=request.param, workers=1)
    return hold_out(load_split(made.data, "train", data), data.held_out, seed=0)[0]


def state_of(generator: torch.Generator, steps: int = 0, began: torch.Tensor | None = None) -> State:
    began = generator.get_state() if began is None else began
    return State(torch.nn.Identity(), None, generator, under_way=UnderWay(began, steps))


def test_an_epoch_goes_on_at_any_step_with_the_same_batches(config, part):
    loader = Loader(part, build_system(config, 3), Processes())
    generator = torch.Generator().manual_seed(5)
    began = generator.get_state()
    whole = list(loader.batches(state_of(generator)))
    assert len(whole) == loader.steps == 6 and torch.equal(generator.get_state(), began)
    generator.set_state(whole[3].chance)
    rest = list(loader.batches(state_of(generator, 4, began)))
    assert len(rest) == 2
    for a, b in zip(whole[4:], rest, strict=True):
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y) and a.drawn == b.drawn
        assert torch.equal(a.chance, b.chance)


def test_processes_share_each_batch_and_draw_alike(config, part):
    generator = torch.Generator().manual_seed(5)
    alone, first, second = (
        list(Loader(part, build_system(config, 3), processes).batches(state_of(generator)))
        for processes in (Processes(), Processes(0, 2), Processes(1, 2))
    )
    for whole, a, b in zip(alone, first, second, strict=True):
        assert torch.equal(whole.x, torch.cat([a.x, b.x])) and torch.equal(whole.y, torch.cat([a.y, b.y]))
        assert whole.drawn == a.drawn == b.drawn and torch.equal(whole.chance, b.chance)


def test_too_few_pictures_for_a_batch_are_refused(config, part):
    with pytest.raises(DataError, match=r"3 pictures to train on do not fill a batch of 8"):
        Loader(part.subset(torch.arange(3)), build_system(config, 3), Processes())
