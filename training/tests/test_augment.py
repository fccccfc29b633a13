import torch

from sdpoint.augment import Augmenter
from sdpoint.config import DataConfig
from sdpoint.data import normalise

DATA = DataConfig(size=16)


def augmented(images: torch.Tensor, index: torch.Tensor, pad: int, cutout: int, seed: int = 0) -> torch.Tensor:
    augment = Augmenter(images, DATA, pad, cutout)
    return augment(index, augment.draw(len(index), torch.Generator().manual_seed(seed)))


def test_crops_are_crops_of_the_reflected_picture_some_of_them_flipped():
    pad, count = 2, 200
    image = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)  # every pixel is unique
    batch = augmented(image, torch.zeros(count, dtype=torch.long), pad, cutout=0)
    padded = torch.nn.functional.pad(normalise(image, DATA), (pad,) * 4, mode="reflect")[0]
    places = [(dy, dx) for dy in range(5) for dx in range(5)]
    crops = {(dy, dx, flip): padded[:, dy : dy + 16, dx : dx + 16] for dy, dx in places for flip in (False, True)}
    crops = {key: crop.flip(-1) if key[2] else crop for key, crop in crops.items()}
    seen = [key for x in batch for key, crop in crops.items() if torch.equal(x, crop)]
    assert len(seen) == count  # each is exactly one of the crops
    assert {key[:2] for key in seen} == set(places)
    assert 0.4 < sum(key[2] for key in seen) / count < 0.6


def test_the_picture_at_an_index_keeps_its_place_in_the_batch():
    images = torch.stack([torch.full((16, 16, 3), value, dtype=torch.uint8) for value in (10, 90, 200)])
    index = torch.tensor([2, 0, 1, 2])
    torch.testing.assert_close(augmented(images, index, pad=1, cutout=0), normalise(images[index], DATA))


def test_cutout_is_one_square_of_the_mean_colour_cut_off_at_the_border():
    image = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    batch = augmented(image, torch.zeros(100, dtype=torch.long), pad=0, cutout=6)
    areas = []
    for hole in (batch == 0).all(1):
        rows, columns = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        height, width = (int(s[-1] - s[0]) + 1 for s in (rows, columns))
        assert height <= 6 and width <= 6 and hole.sum() == height * width
        areas.append(height * width)
    assert max(areas) == 36 and min(areas) < 36
    assert areas.count(36) > 20


def test_augmentation_follows_its_generator():
    image = torch.randint(256, (3, 16, 16, 3), dtype=torch.uint8)
    first, second, other = (augmented(image, torch.arange(3), pad=2, cutout=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)


def test_a_share_of_a_batch_is_augmented_as_in_the_whole_batch():
    images = torch.randint(256, (6, 16, 16, 3), dtype=torch.uint8)
    augment, index = Augmenter(images, DATA, 2, 4), torch.arange(6)
    draws = augment.draw(6, torch.Generator().manual_seed(0))
    assert torch.equal(augment(index[2:4], tuple(d[2:4] for d in draws)), augment(index, draws)[2:4])
