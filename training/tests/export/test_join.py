import json
import shlex
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from make_fixture import ABOUT, make_fixture

from sdpoint.cli import main
from sdpoint.data import load_split, load_training
from sdpoint.evaluate import accuracy_of, logits_of
from sdpoint.export import ExportError
from sdpoint.export.family import verify_family
from sdpoint.export.join import load_parts
from sdpoint.export.load import load_family
from sdpoint.export.manifest import hash_files
from sdpoint.export.runtime import open_session, run_session
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance
from sdpoint.temperature import fit_temperature

README = Path(__file__).parents[2] / "README.md"
KEPT = ["p02-r500", "b-full", "b-p01-r375"]


def read(family, name="manifest.json"):
    return json.loads((family / name).read_text())


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    """A family of another network, trained on the same pictures in 12 x 12 pixels."""
    work = tmp_path_factory.mktemp("smaller")
    overrides = ("train.epochs=1", "data.held_out=9", "train.batch=8", "data.size=12", "data.resize=12")
    make_fixture(work / "models" / "small", work, pictures=(20, 8), overrides=(*overrides, "model.base=6"))
    return work / "models" / "small"


@pytest.fixture(scope="module")
def about(tmp_path_factory):
    path = tmp_path_factory.mktemp("about") / "about.yaml"
    path.write_text(yaml.safe_dump({**ABOUT, "source": "both trained here"}))
    return path


@pytest.fixture(scope="module")
def joined(made, smaller, about, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "joined"
    words = [made.family, "--network", f"b={smaller}", "--keep", *KEPT, "--data", made.data, "--about", about]
    assert main([*map(str, ["join", *words, "--int8", "--out", out])]) == 0
    return out


def test_the_family_has_full_and_the_instances_to_keep(joined, smaller):
    manifest = verify_family(joined)
    assert [i["id"] for i in manifest["instances"]] == [
        *("full", "p02-r500", "b-full", "b-p01-r375"),
        *("full-i8", "p02-r500-i8", "b-full-i8", "b-p01-r375-i8"),
    ]
    assert manifest["formatVersion"] == 3 and manifest["input"]["width"] == 16
    own = read(smaller)
    assert manifest["networks"] == {"b": {key: own[key] for key in ("architecture", "license", "source")}}
    assert [i.get("network") for i in manifest["instances"]] == 2 * [None, None, "b", "b"]
    config, flops = load_family(smaller).config.model, [i["flops"] for i in manifest["instances"]]
    assert flops[2:4] == [network_flops(config, 3, 12), network_flops(config, 3, 16, Instance(1, 0.375))]
    before = {i["id"]: i["flops"] for i in own["instances"]}
    assert flops[2] == before["full"] and before["p01-r500"] < flops[3] < 1.5 * before["p01-r500"]  # a larger stem


def test_figures_are_of_pictures_as_the_service_gives_them(joined, made, smaller):
    instances = {i["id"]: i for i in read(joined)["instances"]}
    rule = load_family(made.family).config.data
    test, (_, held_out) = load_split(made.data, "test", rule), load_training(made.data, rule)
    network = load_family(smaller)
    data = network.config.data

    def full(images):
        planes = F.interpolate(images.permute(0, 3, 1, 2).float(), (12, 12), mode="bilinear")
        return logits_of(network.model, FULL, network.statistics["full"], planes.permute(0, 2, 3, 1), data)

    def behind_the_stem(images):  # 6 pixels, as half of 12
        return logits_of(network.model, Instance(1, 0.375), network.statistics["p01-r500"], images, rule)

    for id, logits in (("b-full", full), ("b-p01-r375", behind_the_stem)):
        entry, expected = instances[id], accuracy_of(logits(test.images), test.labels)
        assert (entry["correct"], entry["n"], entry["top5"]) == (expected.correct, expected.n, expected.top5)
        temperature = fit_temperature(logits(held_out.images), held_out.labels)
        assert entry["temperature"] == pytest.approx(temperature, abs=1e-3)
        given = run_session(open_session(joined / entry["file"]), test.images)
        assert torch.allclose(given, logits(test.images), atol=1e-4)


def test_instances_of_the_first_family_answer_as_before(joined, made):
    before, after = read(made.family), read(joined)
    for id in ("full", "p02-r500"):
        old, new = (next(i for i in m["instances"] if i["id"] == id) for m in (before, after))
        assert {k: old[k] for k in ("correct", "top1", "flops", "temperature")} == {
            k: new[k] for k in ("correct", "top1", "flops", "temperature")
        }


def test_float_weights_of_each_network_are_stored_once(joined, smaller, made):
    stored = (joined / "weights.bin").read_bytes()
    for family in (made.family, smaller):
        for name, weight in load_family(family).model.named_parameters():
            if (
                weight.ndim == 4 and weight.numel() >= 64
            ):  # of a convolution, and so large that none is like it by chance
                assert stored.count(weight.detach().contiguous().numpy().tobytes()) == 1, name


def test_the_card_tells_of_each_network(joined, made, smaller):
    text = (joined / "README.md").read_text()
    assert text.startswith("# joined: 2 networks at 4 costs")
    for family, name in ((made.family, ""), (smaller, ", `b`")):
        manifest = read(family)
        assert f"### {manifest['architecture']}{name}\n" in text
        side = manifest["input"]["width"]
        assert f"- {manifest['architecture']}{name}: " in text and f", input {side} x {side}\n" in text
        made_of = (family / "README.md").read_text().partition("## How it was made\n")[2].partition("\n## ")[0]
        assert made_of.strip() in text
    assert "| `b-p01-r375` | 1 | 0.375 |" in text and "(frontier.png)" in text


def test_new_classes_are_taught_to_the_network_of_full_at_the_costs_that_were_kept(joined, made):
    source, before = load_family(joined), load_family(made.family)
    assert source.config.model == before.config.model and source.digest == before.digest
    assert [i.id for i in source.instances] == list(source.statistics) == ["full", "p02-r500"]
    for id, own in source.statistics.items():
        assert all(torch.equal(value, before.statistics[id][name]) for name, value in own.items())


@pytest.mark.parametrize(
    ("others", "keep", "message"),
    [
        ({"B 2": "smaller"}, [], "cannot name a network"),
        ({"b": "joined"}, [], "has several networks already"),
        ({"b": "smaller"}, ["b-full", "b-p09-r500"], "no instance b-p09-r500"),
        ({"b": "smaller"}, ["p02-r500"], "no instance of b is kept"),
        ({"b": "elsewhere"}, [], "held-out pictures would not be the same"),
        ({"b": "relabelled"}, [], "have other classes"),
    ],
)
def test_families_that_do_not_fit_are_refused(made, smaller, joined, tmp_path, others, keep, message):
    places = {"smaller": smaller, "joined": joined}
    places["elsewhere"] = changed(smaller, tmp_path / "elsewhere", name="others")
    places["relabelled"] = changed(smaller, tmp_path / "relabelled", labels=["a", "b", "c"])
    with pytest.raises(ExportError, match=message):
        load_parts(made.family, {name: places[place] for name, place in others.items()}, keep)


def changed(family, out, name=None, labels=None):
    """A copy with another data.name, or other labels, and right digests."""
    shutil.copytree(family, out)
    manifest = read(out)
    if name:
        manifest["provenance"]["recipe"]["data"]["name"] = name
    if labels:
        (out / "labels.json").write_text(json.dumps(labels))
    manifest["files"] = hash_files(out)
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


def test_the_command_of_the_tutorial_joins_families(made, smaller, about, tmp_path, monkeypatch):
    block = README.read_text().split("<!-- join -->")[1].split("```")[1].removeprefix("sh")
    program, *words = shlex.split(block.replace("\\\n", " "))
    assert program == "sdpoint"
    shutil.copytree(made.family, tmp_path / "models" / "large")
    shutil.copytree(smaller, tmp_path / "models" / "small")
    shutil.copytree(made.data, tmp_path / "photos")
    shutil.copy(about, tmp_path / "about.yaml")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    manifest = verify_family(tmp_path / "models" / "photos")
    assert [i["id"] for i in manifest["instances"]] == ["full", "p02-r750", "small-full", "small-p01-r375"]


def test_labels_in_another_order_than_the_labels_file_are_refused(made, smaller, about, tmp_path, capsys):
    (tmp_path / "classes.txt").write_text("diagonal diagonal\nvertical vertical\nhorizontal horizontal\n")
    path = tmp_path / "about.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(about.read_text()), "labels_file": "classes.txt"}))
    words = [made.family, "--network", f"b={smaller}", "--data", made.data, "--about", path, "--out", tmp_path / "x"]
    assert main([*map(str, ["join", *words])]) == 2
    assert "in another order" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
