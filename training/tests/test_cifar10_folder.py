import io
import pickle
import tarfile

import numpy as np
import pytest

import cifar10_folder
from sdpoint.config import DataConfig
from sdpoint.data import load_split


@pytest.fixture
def archive(tmp_path):
    """A small archive in the official layout, with ten pictures in each batch; their red channel is a counter."""
    path = tmp_path / "archive.tar.gz"
    labels = [name.encode() for name in ("airplane", "automobile")]
    with tarfile.open(path, "w:gz") as tar:

        def add(name, value):
            content = pickle.dumps(value)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))

        add("batches.meta", {b"label_names": labels})
        for name in [*cifar10_folder.BATCHES["train"], "test_batch"]:
            data = np.zeros((10, 3072), np.uint8)
            data[:, :1024] = np.arange(1024) % 256
            names = [f"{name}_{n}.png".encode() for n in range(10)]
            add(name, {b"data": data, b"labels": [n % 2 for n in range(10)], b"filenames": names})
    return path


def test_the_archive_becomes_an_image_folder(archive, tmp_path):
    out = tmp_path / "cifar10"
    assert cifar10_folder.unpack(archive, out) == {"train": 50, "test": 10}
    split = load_split(out, "train", DataConfig(size=32))
    assert len(split) == 50 and split.classes == ("airplane", "automobile")
    assert "train/automobile/data_batch_1_1.png" in split.files
    assert split.images[0, 3, 5].tolist() == [(3 * 32 + 5) % 256, 0, 0]


def test_an_archive_that_is_not_the_official_one_is_not_unpickled(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["cifar10_folder.py", str(archive), str(tmp_path / "out")])
    assert cifar10_folder.main() == 2
    assert "not the official archive" in capsys.readouterr().err and not (tmp_path / "out").exists()
