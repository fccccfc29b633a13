import csv
import json

import paired
import pytest
import torch
from pictures import CLASSES

from sdpoint.photos import DataError


def rights(text: str) -> torch.Tensor:
    return torch.tensor([letter == "1" for letter in text])


def test_a_fall_counts_the_pictures_that_only_one_of_the_two_answers_rightly():
    figures = paired.fall(rights("1111100000"), rights("1110010000"))
    assert (figures["n"], figures["correct"], figures["lost"], figures["gained"]) == (10, 4, 2, 1)
    assert figures["fall"] == 10.0
    low, high = figures["interval"]
    assert low < 0 < figures["fall"] < high
    assert paired.fall(rights("1100"), rights("1100"))["fall"] == 0


def test_the_interval_is_that_of_bonett_and_price():
    reference = torch.cat([torch.ones(59), torch.zeros(16), torch.ones(925)]).bool()
    other = torch.cat([torch.zeros(59), torch.ones(16), torch.ones(925)]).bool()
    p, q, n = 60 / 1002, 17 / 1002, 1002
    half = 1.96 * ((p + q - (p - q) ** 2) / n) ** 0.5
    assert paired.fall(reference, other)["interval"] == pytest.approx(
        [100 * (p - q - half), 100 * (p - q + half)], abs=0.01
    )


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "URL", "TrueLabel"])
        writer.writerows((name, "", label) for name, label in rows)
    return path


def test_a_family_is_compared_with_full_of_another_on_all_sets(made, tmp_path):
    folder = made.data / "test"
    pictures = [(f"{name}/{k:04d}", 1 + CLASSES.index(name)) for name in CLASSES for k in range(8)]
    flat = tmp_path / "set" / "images"
    flat.mkdir(parents=True)
    for name, _ in pictures:
        (flat / f"{name.replace('/', '-')}.png").write_bytes((folder / f"{name}.png").read_bytes())
    labels = table(tmp_path / "set" / "images.csv", [(name.replace("/", "-"), label) for name, label in pictures])
    words = [made.family, "--reference", made.family, "--folder", folder, "--listed", flat, labels]
    paired.main([str(word) for word in [*words, "--out", tmp_path / "out.json"]])
    result = json.loads((tmp_path / "out.json").read_text())
    manifest = json.loads((made.family / "manifest.json").read_text())
    expected = {i["id"]: i["correct"] for i in manifest["instances"] if i["precision"] == "float32"}
    assert [row["id"] for row in result["instances"]][-1] == "full"
    for row in result["instances"]:
        assert row["test"] == row["set"] and row["test"]["correct"] == expected[row["id"]]
        assert row["all"]["n"] == 2 * row["test"]["n"] == 48 and row["all"]["fall"] == row["test"]["fall"]
        assert row["all"]["fall"] == pytest.approx(100 * (expected["full"] - expected[row["id"]]) / 24, abs=0.01)
    assert result["reference"]["correct"] == {"test": expected["full"], "set": expected["full"]}


def test_lists_that_do_not_fit_and_no_lists_are_refused(made, tmp_path):
    folder = made.data / "test" / CLASSES[0]
    with pytest.raises(DataError, match="lacks nothing and 0 others"):
        paired.listed(folder, table(tmp_path / "a.csv", [("0000", 1), ("nothing", 1)]), 3)
    with pytest.raises(DataError, match="has label 4; there are 3"):
        paired.listed(folder, table(tmp_path / "b.csv", [("0000", 4)]), 3)
    with pytest.raises(SystemExit):
        paired.main([str(made.family), "--reference", str(made.family), "--out", str(tmp_path / "out.json")])
