import pytest
import torch
from pictures import CLASSES, write_pictures
from PIL import Image

from sdpoint.config import DataConfig
from sdpoint.data import DataError, hold_out, load_split, normalise

DATA = DataConfig(size=16)


@pytest.fixture
def root(tmp_path):
    return write_pictures(tmp_path / "data", 16, train=4, test=2)


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
