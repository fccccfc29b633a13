"""deploy/gpu-check/travel.py: files that travel in pieces arrive whole, or the error says what is wrong."""

import random
import subprocess

import pytest
import travel

MOST = 1000


@pytest.fixture
def packed(tmp_path):
    source = tmp_path / "files"
    (source / "folder").mkdir(parents=True)
    (source / "noise").write_bytes(random.Random(1).randbytes(2500))  # cannot be compressed
    (source / "folder/run").write_text("#!/bin/sh\n")
    (source / "folder/run").chmod(0o755)
    sizes = travel.pack(source, tmp_path / "pieces", MOST)
    assert sum(sizes) > 2500 and sizes[:-1] == [MOST] * (len(sizes) - 1) and len(sizes) > 2
    return tmp_path / "pieces"


def one(pieces, number, tmp_path):
    """A folder with this piece alone, as a call brings it."""
    folder = tmp_path / f"call{number}"
    folder.mkdir()
    (pieces / str(number)).rename(folder / str(number))
    return folder


def test_pieces_that_arrive_one_by_one_in_any_order_give_the_files_again(packed, tmp_path):
    store, numbers = tmp_path / "store", sorted(int(p.name) for p in packed.iterdir())
    for left, number in enumerate(reversed(numbers)):
        missing = travel.receive(one(packed, number, tmp_path), store)
        assert missing == numbers[: len(numbers) - 1 - left]
        if missing:
            with pytest.raises(travel.TravelError, match="missing"):
                travel.unpack("pieces", tmp_path / "there", store)
    travel.unpack("pieces", tmp_path / "there", store)
    assert (tmp_path / "there/noise").read_bytes() == random.Random(1).randbytes(2500)
    assert (tmp_path / "there/folder/run").stat().st_mode & 0o111


def test_a_damaged_piece_is_refused(packed, tmp_path):
    piece = packed / "2/piece"
    piece.write_bytes(piece.read_bytes()[:-1] + b"?")
    with pytest.raises(travel.TravelError, match="damaged"):
        travel.receive(packed, tmp_path / "store")
    with pytest.raises(travel.TravelError, match="no piece"):
        travel.receive(tmp_path / "empty", tmp_path / "store")


def test_pieces_of_an_interrupted_pack_are_refused(packed, tmp_path):
    (packed / "1/whole.json").unlink()
    with pytest.raises(travel.TravelError, match="pack again"):
        travel.receive(one(packed, 1, tmp_path), tmp_path / "store")


def test_the_size_of_the_tree_counts_existing_files_that_git_does_not_ignore(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name, size in (("kept", 10), ("new", 20), ("gone", 40), ("ignored", 80)):
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / ".gitignore").write_text("ignored\n")
    subprocess.run(["git", "-C", str(tmp_path), "add", "kept", "gone"], check=True)
    (tmp_path / "gone").unlink()
    assert travel.tree_bytes(tmp_path) == 10 + 20 + len("ignored\n")


def test_a_tree_that_leaves_no_room_is_refused():
    assert travel.room_for_pieces(10 * travel.MIB) == 52 * travel.MIB
    with pytest.raises(travel.TravelError, match="sparse-checkout"):
        travel.room_for_pieces(60 * travel.MIB)


def test_results_are_checked_against_the_limits(tmp_path):
    for n in range(8):
        (tmp_path / str(n)).write_bytes(b"x")
    assert "8 files" in travel.check_back(tmp_path)
    (tmp_path / "9").write_bytes(b"x")
    with pytest.raises(travel.TravelError, match="9 files"):
        travel.check_back(tmp_path)
