import random
from dataclasses import replace

import pytest
import torch
from pictures import CLASSES, write_photos

from sdpoint.augment import PhotoAugmenter
from sdpoint.config import DataConfig
from sdpoint.data import DataError, in_memory, load_split
from sdpoint.stream import PictureFiles, random_crop

STREAM = DataConfig(size=16, resize=20, loading="stream", workers=0)
MEMORY = replace(STREAM, loading="memory")


@pytest.fixture
def photos(tmp_path):
    """Photographs of many sizes: eight of each class in `<root>/train`, two in `<root>/val`."""
    return write_photos(tmp_path, sides=(18, 40), train=8, val=2)


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_on_the_disk_are_those_that_memory_would_hold(photos, workers):
    streamed, held = (load_split(photos, "train", data) for data in (replace(STREAM, workers=workers), MEMORY))
    assert isinstance(streamed.images, PictureFiles) and len(streamed.images) == len(held) == 24
    assert torch.equal(streamed.labels, held.labels) and streamed.files == held.files
    batches = list(streamed.images.split(10))
    assert [len(batch) for batch in batches] == [10, 10, 4] and torch.equal(torch.cat(batches), held.images)
    if not workers:
        for index in (torch.tensor([5, 2, 23]), slice(None, None, 7), slice(3), held.labels == 1):
            assert torch.equal(in_memory(streamed.images[index]), held.images[index])
        assert torch.equal(in_memory(streamed.subset(torch.tensor([4, 1])).images), held.images[[4, 1]])


def test_the_test_part_may_be_called_val(photos):
    assert len(load_split(photos, "test", STREAM)) == 6
    (photos / "val").rename(photos / "test")
    assert len(load_split(photos, "test", STREAM)) == 6


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "other", "cut off"])
def test_a_picture_that_cannot_be_read_is_named_once_it_is_its_turn(photos, workers, content):
    path = photos / "train" / CLASSES[1] / "3.jpg"
    path.write_bytes(path.read_bytes()[:400] if content is None else content)
    streamed = load_split(photos, "train", replace(STREAM, workers=workers))
    assert len(next(iter(streamed.images.split(4)))) == 4
    with pytest.raises(DataError, match=rf"^{path} cannot be read") as caught:
        in_memory(streamed.images)
    assert "Traceback" not in str(caught.value)


def test_random_crops_are_parts_of_the_picture_of_all_sizes_and_moderate_ratios():
    chance, shares, ratios = random.Random(0), [], []
    for _ in range(2000):
        left, top, right, bottom = random_crop(400, 300, 0.08, chance)
        assert 0 <= left < right <= 400 and 0 <= top < bottom <= 300
        shares.append((right - left) * (bottom - top) / (400 * 300))
        ratios.append((right - left) / (bottom - top))
    assert 0.07 < min(shares) < 0.1 and 0.95 < max(shares) <= 1
    assert 0.74 < min(ratios) < 0.76 and 1.32 < max(ratios) < 1.35


def test_a_picture_too_long_for_a_crop_gives_the_largest_one_in_its_middle():
    assert random_crop(1000, 30, 1.0, random.Random(0)) == (480, 0, 520, 30)
    assert random_crop(30, 1000, 1.0, random.Random(0)) == (0, 480, 30, 520)


def test_crops_depend_on_seeds_and_not_on_who_reads(photos):
    def crops(workers: int, seed: int) -> list[torch.Tensor]:
        part = load_split(photos, "train", replace(STREAM, workers=workers))
        augment = PhotoAugmenter(part.images, part.images.data, 0.08)
        requests = [torch.tensor([3, 1, 4, 1]), torch.tensor([5, 9])]
        generator = torch.Generator().manual_seed(seed)
        return list(augment.batches((index, augment.draw(len(index), generator)) for index in requests))

    alone, helped, other = crops(0, 1), crops(2, 1), crops(0, 2)
    assert [x.shape for x in alone] == [(4, 3, 16, 16), (2, 3, 16, 16)] and alone[0].dtype == torch.float32
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert not torch.equal(alone[0], other[0]) and not torch.equal(alone[0][1], alone[0][3])
