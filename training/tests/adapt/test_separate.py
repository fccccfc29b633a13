import json

import pytest
import separate
import torch
from pictures import CLASSES

from sdpoint.adapt.adapter import load_adapter
from sdpoint.config import DataConfig
from sdpoint.data import load_split, normalise
from sdpoint.flops import network_flops
from sdpoint.instance import FULL


def rights(text: str) -> torch.Tensor:
    return torch.tensor([letter == "1" for letter in text])


def test_a_smaller_input_sees_the_same_part_of_a_picture():
    own = DataConfig(size=224, resize=256)
    small = separate.reduced(own, 0.5)
    assert (small.size, small.resize) == (112, 128)
    assert separate.reduced(own, 1.0) == own


def test_a_separate_network_is_compared_with_the_best_instance_that_costs_no_more():
    answers = {"a": rights("11100000"), "b": rights("11111000"), "c": rights("11110000"), "full": rights("11111111")}
    shares = {"a": 0.2, "b": 0.4, "c": 0.5, "full": 1.0}
    rows = [{"id": id, "share": shares[id], "all": {"correct": int(own.sum())}} for id, own in answers.items()]
    better = separate.beside(0.5, rights("01111110"), rows, answers)
    assert better["beside"] == "b" and better["lead"] == 12.5
    low, high = better["interval"]
    assert low < 12.5 < high
    worse = separate.beside(0.3, rights("00000110"), rows, answers)
    assert worse["beside"] == "a" and worse["lead"] == -12.5
    assert separate.beside(0.1, rights("11111111"), rows, answers) == {}


def test_networks_are_measured_on_the_pictures_that_the_family_sees(made, resnet_adapter, tmp_path):
    path, out = resnet_adapter(), tmp_path / "out.json"
    folder = made.data / "test"
    words = [made.family, "--networks", path, "--inputs", 1, 0.5, "--folder", folder, "--out", out]
    separate.main([str(word) for word in words])
    result = json.loads(out.read_text())
    manifest = json.loads((made.family / "manifest.json").read_text())
    expected = {i["id"]: i["correct"] for i in manifest["instances"] if i["precision"] == "float32"}
    assert {row["id"]: row["all"]["correct"] for row in result["instances"]} == expected
    full = next(i["flops"] for i in manifest["instances"] if i["id"] == "full")
    adapter = load_adapter(path)
    network = adapter.load()
    assert [row["input"] for row in result["separate"]] == [32, 64]
    for row in result["separate"]:
        assert row["network"] == network.name
        assert row["share"] == pytest.approx(network_flops(adapter.config.model, 3, row["input"]) / full, abs=1e-4)
        assert row["share"] > 1 and "lead" not in row  # beyond the family's full nothing is compared
        data = separate.reduced(adapter.config.data, row["input"] / 64)
        split = load_split(made.data, "test", data).expect_classes(tuple(CLASSES))
        with torch.no_grad():
            answers = network(normalise(split.images, data), FULL).argmax(1)
        assert row["all"]["correct"] == int((answers == split.labels).sum())
        assert row["all"]["fall"] == pytest.approx(100 * (expected["full"] - row["all"]["correct"]) / 24, abs=0.01)
