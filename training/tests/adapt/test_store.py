import fcntl
import json
import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from sdpoint.adapt.pause import Pause
from sdpoint.adapt.store import Store, shrunk
from sdpoint.photos import DataError

SIDE = 24


def photograph(folder, name, width, height, colour="red"):
    path = folder / name
    Image.new("RGB", (width, height), colour).save(path)
    return path


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    return [
        photograph(folder, "wide.jpg", 90, 48),
        photograph(folder, "tall.png", 30, 120),
        photograph(folder, "small.bmp", 10, 12),
    ]


def filled(folder, files, workers=0):
    store = Store(folder, SIDE, "linear")
    store.fill(files, workers, Pause())
    return store


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_are_kept_with_their_shorter_side_reduced_and_too_long_ones_cut(files, tmp_path, workers):
    pool = filled(tmp_path / "cache", files, workers).pool(files)
    assert [pool[i].shape for i in range(3)] == [(24, 32, 3), (32, 24, 3), (12, 10, 3)]
    assert pool.files == tuple(map(str, files))
    assert np.array_equal(pool[1], np.broadcast_to([255, 0, 0], (32, 24, 3)))


def test_broken_pictures_are_named_and_left_out(files, tmp_path):
    cut = tmp_path / "photographs" / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:2000])
    text = tmp_path / "photographs" / "text.jpg"
    text.write_text("no picture")
    every = [files[0], cut, text, *files[1:]]
    store = filled(tmp_path / "cache", every)
    assert store.pool(every).files == tuple(map(str, files))
    assert list(store.broken(every)) == [str(cut), str(text)]
    assert all("cannot be read" in why for why in store.broken(every).values())


def test_a_picture_is_read_once_and_again_only_if_it_has_changed(files, tmp_path, monkeypatch):
    digest = filled(tmp_path / "cache", files).pool(files).digest
    read = []

    def counting(path, *rest):
        read.append(path)
        return shrunk(path, *rest)

    monkeypatch.setattr("sdpoint.adapt.store.shrunk", counting)
    again = filled(tmp_path / "cache", files)
    assert not read and again.pool(files).digest == digest
    photograph(tmp_path / "photographs", "small.bmp", 20, 20, "blue")
    changed = filled(tmp_path / "cache", files).pool(files)
    assert read == [files[2]] and changed.digest != digest
    assert changed[2].shape == (20, 20, 3) and changed[2][0, 0].tolist() == [0, 0, 255]
    assert changed[0][0, 0].tolist() == [254, 0, 0]


def test_a_call_that_was_killed_goes_on_with_what_is_complete(files, tmp_path):
    whole = filled(tmp_path / "whole", files)
    expected = [whole.pool(files)[i].copy() for i in range(3)]
    store = filled(tmp_path / "cache", files)
    lines = store.index.read_text().splitlines(keepends=True)
    store.index.write_text(lines[0] + lines[1][:20])  # killed while writing the second line
    pool = filled(tmp_path / "cache", files).pool(files)
    assert all(np.array_equal(pool[i], expected[i]) for i in range(3))
    assert len(list(map(json.loads, store.index.read_text().splitlines()))) == 3
    with store.pixels.open("r+b") as pixels:
        pixels.truncate(2000)  # the machine lost pixels
    pool = filled(tmp_path / "cache", files).pool(files)
    assert all(np.array_equal(pool[i], expected[i]) for i in range(3))


def test_of_two_stores_in_one_folder_the_second_finds_what_the_first_has_read(files, tmp_path, monkeypatch):
    early = Store(tmp_path / "cache", SIDE, "linear")  # made before the other one has read anything
    filled(tmp_path / "cache", files)
    monkeypatch.setattr("sdpoint.adapt.store.shrunk", lambda *_: pytest.fail("read before"))
    early.fill(files, 0, Pause())
    assert len(early.pool(files)) == 3
    with (early.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # free again, or this raises an error


def test_sides_and_kernels_do_not_share_pictures(files, tmp_path):
    small = Store(tmp_path, SIDE, "linear")
    assert len({small.folder, Store(tmp_path, 30, "linear").folder, Store(tmp_path, SIDE, "cubic").folder}) == 3


def test_a_large_jpeg_looks_the_same_though_it_is_decoded_at_a_smaller_scale(tmp_path):
    rows, columns = np.mgrid[:480, :640]
    picture = np.stack([rows % 256, columns % 256, (rows + columns) // 5 % 256], -1).astype(np.uint8)
    data = BytesIO()
    Image.fromarray(picture).resize((640, 480)).save(data, "JPEG", quality=95)
    (tmp_path / "large.jpg").write_bytes(data.getvalue())
    Image.open(tmp_path / "large.jpg").save(tmp_path / "large.png")
    fast, exact = (shrunk(tmp_path / f"large.{kind}", 48, "linear").astype(int) for kind in ("jpg", "png"))
    assert fast.shape == exact.shape == (48, 64, 3)
    assert abs(fast - exact).mean() < 4


def test_a_picture_stands_upright(tmp_path):
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[0x0112] = 6  # turned by a quarter
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert shrunk(tmp_path / "turned.jpg", 12, "linear").shape == (16, 12, 3)
    with pytest.raises(DataError, match="cannot be read"):
        shrunk(tmp_path / "nothing.jpg", 12, "linear")


def test_reading_stops_while_the_file_exists(files, tmp_path, capsys):
    (tmp_path / "quiet").touch()
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            os.remove(tmp_path / "quiet")

    pause = Pause(tmp_path / "quiet", sleep)
    store = Store(tmp_path / "cache", SIDE, "linear")
    store.fill(files, 0, pause)
    assert len(waits) == 3 and len(store.pool(files)) == 3
    assert "paused while" in capsys.readouterr().err
