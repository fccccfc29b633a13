from collections import Counter
from dataclasses import replace

import pytest
from pictures import write_pictures
from PIL import Image

from sdpoint.adapt.gather import gather, some
from sdpoint.config import DataConfig
from sdpoint.data import DataError, load_training

DATA = DataConfig(size=16, held_out=6, loading="stream")


@pytest.fixture
def folders(tmp_path):
    root = write_pictures(tmp_path / "first", 16, train=5, test=1)
    others = []
    for name, count in (("flowers", 30), ("things", 10)):
        folder = tmp_path / name / "deep"
        folder.mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (20, 20)).save(folder / f"{index}.png")
        others.append(tmp_path / name)
    return [root / "train", *others]


def test_held_out_are_those_of_the_export_and_of_other_folders_a_share(folders):
    gathered = gather(folders, [], DATA, held_out=8)
    _, held_out = load_training(folders[0].parent, DATA)
    of = {folder.name: [p for p in gathered.held_out if folder in p.parents] for folder in folders}
    assert sorted(str(p.relative_to(folders[0].parent)) for p in of["train"]) == sorted(held_out.files)
    assert len(of["flowers"]) == 6 and len(of["things"]) == 2
    assert len(gathered.learned) == 9 + 24 + 8
    assert not set(gathered.learned) & set(gathered.held_out)
    assert gather(folders, [], DATA, held_out=8) == gathered


def test_pictures_of_the_first_folder_can_be_taken_more_often(folders):
    once, thrice = (gather(folders, [], DATA, held_out=8, repeat=k) for k in (1, 3))
    assert Counter(thrice.learned) == Counter(once.learned) + Counter(once.learned[:9] * 2)
    assert thrice.held_out == once.held_out


def test_what_is_left_out_is_in_neither_part(folders):
    gathered = gather(folders, ["deep/1*"], DATA, held_out=0)
    assert len(gathered.learned) == 9 + 19 + 9
    assert not [p for p in gathered.learned if p.name.startswith("1") and p.parent.name == "deep"]


def test_folders_without_pictures_and_divisions_without_a_part_are_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        gather([*folders, tmp_path / "empty"], [], DATA, 1)
    with pytest.raises(DataError, match="only pictures that are left out"):
        gather(folders, ["deep/*"], DATA, 1)
    with pytest.raises(DataError, match="0 held out"):
        gather(folders, [], replace(DATA, held_out=0), 0)


def test_some_are_drawn_at_random_by_seed(folders):
    files = gather(folders, [], DATA, held_out=8).learned
    few = some(files, 5, seed=1)
    assert len(set(few)) == 5 and set(few) <= set(files)
    assert few == some(files, 5, seed=1) != some(files, 5, seed=2)
    assert sorted(some(files, 0, seed=1)) == sorted(some(files, 999, seed=1)) == sorted(files)
