import pytest
import torch
from pictures import CLASSES, write_pictures
from PIL import Image

from sdpoint.config import DataConfig
from sdpoint.data import Augmenter, DataError, Split, hold_out, load_split, normalise

DATA = DataConfig(size=16)


@pytest.fixture
def root(tmp_path):
    return write_pictures(tmp_path / "data", 16, train=4, test=2)


def split_of(images: torch.Tensor) -> Split:
    count = len(images)
    return Split(images, torch.zeros(count, dtype=torch.long), ("a", "b"), tuple(map(str, range(count))))


def test_an_image_folder_loads_in_sorted_order(root):
    split = load_split(root, "train", DATA)
    assert split.images.shape == (12, 16, 16, 3) and split.images.dtype == torch.uint8
    assert split.classes == CLASSES and split.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert split.files[5] == "train/horizontal/0001.png"
    pixel = Image.open(root / split.files[5]).getpixel((3, 7))  # column, row
    assert split.images[5, 7, 3].tolist() == list(pixel)


def test_transparency_is_flattened_on_white(root):
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(root / "train/diagonal/0000.png")
    assert load_split(root, "train", DATA).images[0].unique().tolist() == [255]


def test_grey_pictures_get_three_equal_channels(root):
    Image.new("L", (16, 16), 7).save(root / "train/diagonal/0000.png")
    assert load_split(root, "train", DATA).images[0].unique().tolist() == [7]


def spoil_nothing(root):
    pass


def spoil_picture(root):
    (root / "train/vertical/0000.png").write_bytes(b"not a picture")


def cut_picture(root):
    path = root / "train/vertical/0000.png"
    path.write_bytes(path.read_bytes()[:200])


def resize_picture(root):
    Image.new("RGB", (20, 16)).save(root / "train/vertical/0000.png")


def leave_one_class(root):
    for name in CLASSES[1:]:
        (root / "train" / name).rename(root / name)


@pytest.mark.parametrize(
    ("part", "spoil", "message"),
    [
        ("valid", spoil_nothing, "valid is not a folder; expected <root>/{train,test}"),
        ("train", spoil_picture, "0000.png cannot be read"),
        ("train", cut_picture, "0000.png cannot be read"),
        ("train", resize_picture, "0000.png is 20x16; this network takes 16x16"),
        ("train", leave_one_class, "1 classes and 4 pictures"),
    ],
)
def test_errors_say_where_and_what_is_expected(root, part, spoil, message):
    spoil(root)
    with pytest.raises(DataError, match=message):
        load_split(root, part, DATA)


def test_other_classes_than_the_networks_are_refused(root):
    split = load_split(root, "train", DATA)
    assert split.expect_classes(CLASSES) is split
    with pytest.raises(DataError, match="the network"):
        split.expect_classes(("a", "b", "c"))


def test_held_out_pictures_are_disjoint_stratified_and_always_the_same(root):
    split = load_split(root, "train", DATA)
    rest, held = hold_out(split, 6, seed=0)
    assert set(rest.files) | set(held.files) == set(split.files) and len(rest) + len(held) == len(split)
    assert held.labels.bincount().tolist() == [2, 2, 2]
    assert hold_out(split, 6, seed=0)[1].files == held.files != hold_out(split, 6, seed=1)[1].files
    for index, file in enumerate(held.files):  # pictures, labels and names stay together
        assert torch.equal(held.images[index], split.images[split.files.index(file)])
    assert len(hold_out(split, 0, seed=0)[1]) == 0


def test_a_class_is_never_held_out_whole(root):
    with pytest.raises(DataError, match="cannot hold out 4"):
        hold_out(load_split(root, "train", DATA), 12, seed=0)


def test_normalisation_is_by_channel():
    images = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    images[..., 1] = 255
    x = normalise(images, DATA)
    assert x.shape == (1, 3, 16, 16)
    for channel, value in enumerate((0, 1, 0)):
        expected = (value - DATA.mean[channel]) / DATA.std[channel]
        torch.testing.assert_close(x[0, channel], torch.full((16, 16), expected))


def test_crops_are_crops_of_the_reflected_picture_some_of_them_flipped():
    pad, count = 2, 200
    image = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)  # every pixel is unique
    augment = Augmenter(split_of(image), DATA, pad, cutout=0, generator=torch.Generator().manual_seed(0))
    batch = augment(torch.zeros(count, dtype=torch.long))
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
    augment = Augmenter(split_of(images), DATA, 1, 0, torch.Generator().manual_seed(0))
    index = torch.tensor([2, 0, 1, 2])
    torch.testing.assert_close(augment(index), normalise(images[index], DATA))


def test_cutout_is_one_square_of_the_mean_colour_cut_off_at_the_border():
    image = torch.zeros(1, 16, 16, 3, dtype=torch.uint8)
    augment = Augmenter(split_of(image), DATA, 0, cutout=6, generator=torch.Generator().manual_seed(0))
    batch = augment(torch.zeros(100, dtype=torch.long))
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
    first, second, other = (
        Augmenter(split_of(image), DATA, 2, 4, torch.Generator().manual_seed(seed))(torch.arange(3))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, second) and not torch.equal(first, other)
