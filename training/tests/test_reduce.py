"""training/gpu/reduce.py: photographs with fewer pixels, for a GPU machine."""

from pathlib import Path

import pytest
import reduce
from PIL import Image

from sdpoint.adapt.adapter import load_adapter
from sdpoint.adapt.gather import gather

ADAPTER = Path(__file__).parents[1] / "adapters/efficientnet-lite2.yaml"


@pytest.fixture
def photographs(tmp_path):
    """Two folders: one with small and large pictures in subfolders, another with twelve."""
    for name, size in {"a/wide.png": (600, 400), "a/small.jpg": (200, 100), "b/tall.webp": (400, 900)}.items():
        path = tmp_path / "first" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "teal").save(path)
    for n in range(12):
        path = tmp_path / f"second/{n}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (300, 300), "olive").save(path)
    return tmp_path / "first", tmp_path / "second"


def test_the_first_folder_is_copied_whole_and_of_others_some(photographs, tmp_path, capsys):
    first, second = photographs
    out = tmp_path / "out"
    reduce.main([str(ADAPTER), "--pictures", str(first), str(second), "--most", "5", "--out", str(out)])
    sizes = {}
    for path in sorted((out / "1").rglob("*.*")):
        with Image.open(path) as image:
            sizes[str(path.relative_to(out / "1"))] = image.size
    assert sizes == {"a/small.jpg.jpg": (133, 100), "a/wide.png.jpg": (389, 292), "b/tall.webp.jpg": (292, 389)}
    assert len(list((out / "2").iterdir())) == 5
    printed = capsys.readouterr().out
    assert "3 of 3 pictures" in printed and "5 of 12 pictures" in printed


def test_the_same_pictures_are_held_out_of_the_copy(photographs, tmp_path):
    first, second = photographs
    out = tmp_path / "out"
    reduce.main([str(ADAPTER), "--pictures", str(first), str(second), "--without", "*/small.jpg", "--out", str(out)])
    assert not (out / "1/a/small.jpg.jpg").exists()
    data = load_adapter(ADAPTER, ["data.held_out=1"]).config.data
    before = gather([first, second], ["*/small.jpg"], data, 2)
    after = gather([out / "1", out / "2"], [], data, 2)
    assert [f"{p.name}.jpg" for p in before.held_out] == [p.name for p in after.held_out]


def test_a_broken_picture_is_named(photographs, tmp_path):
    first, _ = photographs
    (first / "b/broken.jpg").write_bytes(b"no picture")
    with pytest.raises(SystemExit, match=r"broken\.jpg cannot be read.*--without"):
        reduce.main([str(ADAPTER), "--pictures", str(first), "--out", str(tmp_path / "out")])
