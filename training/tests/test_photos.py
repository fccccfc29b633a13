import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from sdpoint.config import ConfigError, DataConfig
from sdpoint.data import DataError, hold_out, load_pictures, load_split
from sdpoint.photos import cut, on_white

PHOTOS = DataConfig(size=16, resize=20)


@pytest.mark.parametrize("kernel", ["linear", "cubic", "lanczos3"])
@pytest.mark.parametrize("size", [(60, 40), (40, 61), (20, 20), (9, 7)])
def test_the_centred_square_is_cut_from_a_picture_of_any_size(size, kernel):
    assert cut(Image.new("RGB", size, "red"), 16, 20, kernel).size == (16, 16)


def test_the_middle_of_a_picture_stays_in_the_middle():
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 40:] = 255  # the right half is white
    columns = np.asarray(cut(Image.fromarray(picture), 16, 20, "linear"))[:, :, 0].mean(0)
    assert (columns[:7] == 0).all() and (columns[9:] == 255).all()


def test_pictures_are_turned_as_exif_says(tmp_path):
    picture = Image.new("RGB", (30, 20))
    exif = picture.getexif()
    exif[0x0112] = 6  # lies on its side
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert on_white(Image.open(tmp_path / "turned.jpg")).size == (20, 30)


def wide_gamut(swap) -> bytes:
    """An ICC profile like that of sRGB, with red and green primaries exchanged, so that its effect is visible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = [profile.index(tag, 128) for tag in swap]
    profile[places[0] : places[0] + 4], profile[places[1] : places[1] + 4] = swap[1], swap[0]
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_those_of_the_profile_that_is_embedded(tmp_path, mode):
    Image.new(mode, (20, 20), (250, 10, 10)).save(tmp_path / "a.png", icc_profile=wide_gamut([b"rXYZ", b"gXYZ"]))
    red, green, _ = np.asarray(on_white(Image.open(tmp_path / "a.png")))[0, 0]
    assert green > 240 and red < 40


def test_a_profile_that_cannot_be_read_is_no_reason_to_fail(tmp_path):
    Image.new("RGB", (20, 20), (250, 10, 10)).save(tmp_path / "a.png", icc_profile=b"none" * 40)
    assert np.asarray(on_white(Image.open(tmp_path / "a.png")))[0, 0].tolist() == [250, 10, 10]


def test_grey_of_sixteen_bits_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((20, 20), 0x8011, np.uint16)).save(tmp_path / "a.png")
    assert np.asarray(on_white(Image.open(tmp_path / "a.png")))[0, 0].tolist() == [0x80] * 3


@pytest.fixture
def root(tmp_path):
    for index, (part, name) in enumerate([("train", "b"), ("train", "a"), ("train", "b"), ("train", "c")]):
        (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30 + index, 25), (index, 0, 0)).save(tmp_path / part / name / f"{index}.png")
    return tmp_path


def test_photographs_load_where_the_configuration_says_how_they_are_cut(root):
    assert load_split(root, "train", PHOTOS).images.shape == (4, 16, 16, 3)
    with pytest.raises(DataError, match="31x25; this network takes 16x16"):
        load_split(root, "train", DataConfig(size=16))


def test_pictures_without_labels_come_in_the_order_of_those_with(root):
    labelled, every = load_split(root, "train", PHOTOS), load_pictures(root / "train", PHOTOS)
    assert torch.equal(labelled.images, every.images)
    assert [f"train/{name}" for name in every.files] == list(labelled.files)
    for a, b in zip(hold_out(labelled, 2, seed=0), hold_out(every, 2, seed=0), strict=True):
        assert torch.equal(a.images, b.images) and len(a) == 2  # fewer than classes: drawn from all
    with pytest.raises(DataError, match="holds no pictures"):
        load_pictures(root / "train" / "none", PHOTOS)


def test_a_data_set_with_some_of_the_networks_classes_is_labelled_by_the_networks(root):
    split = load_split(root, "train", PHOTOS).expect_classes(("c", "x", "b", "a"))
    assert split.labels.tolist() == [3, 2, 2, 0] and split.classes == ("c", "x", "b", "a")
    with pytest.raises(DataError, match=r"classes \['a'\], the network \['b', 'c'\]"):
        load_split(root, "train", PHOTOS).expect_classes(("b", "c"))


@pytest.mark.parametrize("keys", [{"resize": 15}, {"kernel": "mitchell"}])
def test_a_rule_that_cannot_be_is_refused(keys):
    with pytest.raises(ConfigError, match=rf"data\.{next(iter(keys))}"):
        DataConfig(size=16, **keys)
