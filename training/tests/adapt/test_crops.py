from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sdpoint.adapt.crops import Crops, Policy, Request, requests
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.store import Store

POLICY = Policy(size=8, kernel="linear", least=0.5, blended=0.0, seed=1)


@pytest.fixture
def pool(tmp_path):
    files = []
    for index in range(12):
        files.append(tmp_path / f"{index}.png")
        grey = np.full((20, 24, 3), 20 * index, np.uint8)
        grey[:, 12:] += 15  # the right half is brighter
        Image.fromarray(grey).save(files[-1])
    store = Store(tmp_path / "cache", 20, "linear")
    store.fill([Path(file) for file in files], 0, Pause())
    return store.pool(files)


def test_a_crop_depends_only_on_seed_set_and_picture(pool):
    crops = Crops(pool, POLICY)
    alone = crops[Request(3, (5,))]
    assert alone.shape == (1, 8, 8, 3) and alone.dtype == torch.uint8
    assert torch.equal(crops[Request(3, (1, 5, 2))][1:2], alone)
    others = [crops[Request(number, (5,))] for number in range(20)]
    assert len({tuple(other.flatten().tolist()) for other in others}) > 5
    reseeded = Crops(pool, Policy(8, "linear", 0.5, 0.0, seed=2))
    assert any(not torch.equal(reseeded[Request(n, (5,))], others[n]) for n in range(20))


def test_some_crops_are_mirrored(pool):
    crops = Crops(pool, POLICY)[Request(0, tuple(range(12)))].float()
    several = torch.cat([crops, Crops(pool, POLICY)[Request(1, tuple(range(12)))].float()])
    slopes = several[:, :, -1].mean((1, 2)) - several[:, :, 0].mean((1, 2))
    assert (slopes > 5).any() and (slopes < -5).any()


def test_a_share_of_the_crops_is_blended_with_another_of_less_weight(pool):
    plain = Policy(8, "linear", 1.0, 0.0, seed=1)
    own = torch.cat([Crops(pool, plain)[Request(n, tuple(range(12)))] for n in range(10)]).float().mean((1, 2, 3))
    half = Policy(8, "linear", 1.0, 0.5, seed=1)
    mixed = torch.cat([Crops(pool, half)[Request(n, tuple(range(12)))] for n in range(10)]).float().mean((1, 2, 3))
    shift = (mixed - own).abs()
    assert 30 < (shift > 3).sum() < 70  # half, but for those that are blended with one as bright
    assert shift.max() <= 20 * 11 / 2 + 10


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_the_order_asked_for(pool, workers):
    crops, asked = Crops(pool, POLICY), [Request(0, (1, 2)), Request(1, (3, 4)), Request(0, (5, 6))]
    for request, images in zip(asked, crops.read(iter(asked), workers), strict=True):
        assert torch.equal(images, crops[request])


def test_each_epoch_takes_every_picture_once_in_another_order_and_the_sets_in_turn():
    asked = list(requests(count=10, batch=3, sets=2, seed=1, steps=range(12)))
    assert [request.number for request in asked] == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]
    epochs = [sum((request.rows for request in asked[k : k + 3]), ()) for k in range(0, 12, 3)]
    assert all(max(Counter(epoch).values()) == 1 for epoch in epochs) and len(set(epochs)) == 4
    assert list(requests(10, 3, 2, 1, range(4, 12))) == asked[4:], "a resumed run"
