import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from sdpoint.cli import main
from sdpoint.config import Config, DataConfig, PreResNetConfig, TrainConfig, load_config
from sdpoint.export.family import verify_family
from sdpoint.export.load import load_family
from sdpoint.export.manifest import hash_files
from sdpoint.export.measure import golden_images, torch_logits
from sdpoint.export.runtime import open_session, run_session
from sdpoint.flops import network_flops
from sdpoint.systems import build_system
from sdpoint.untrained import draw, export_random, random_pictures

CLASSES, SIZE = 12, 32
CONFIG = Config(
    DataConfig(name="none", size=SIZE), PreResNetConfig(depth=11, bottleneck=True), TrainConfig(seed=3, threads=1)
)
PUBLISHED = Path(__file__).parent.parent / "configs" / "imagenet-preresnet-101.yaml"


@pytest.fixture(scope="module")
def trained():
    return draw(CONFIG, CLASSES)[0]


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return export_random(CONFIG, CLASSES, tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "config.yaml"
    raw = {
        "data": {"name": "none", "size": SIZE},
        "model": {"kind": "preresnet", "depth": 11, "bottleneck": True},
        "train": {"seed": 3, "threads": 1},
    }
    path.write_text(yaml.safe_dump(raw))
    return path


def read(family, name):
    return json.loads((family / name).read_text())


def before(name: str, p: int) -> bool:
    """Whether the norm layer of a buffer lies before point p; point 1 is after the stem, point k + 1 after block k."""
    part, _, rest = name.partition(".")
    return part == "stem" or (part == "blocks" and int(rest.partition(".")[0]) + 1 < p)


@pytest.mark.parametrize(("depth", "instances"), [(50, 33), (101, 67)])
def test_the_published_networks_have_full_and_two_instances_for_each_block(depth, instances):
    config = load_config(PUBLISHED, [f"model.depth={depth}"])
    assert config.data.size == 224
    assert len(build_system(config, 1000).configurations) == instances


def test_statistics_are_those_of_full_before_the_point_and_others_from_there_on(trained):
    full = trained.statistics["full"]
    assert [i.id for i in trained.instances] == list(trained.statistics)
    for instance in trained.instances[1:]:
        own = trained.statistics[instance.id]
        assert own.keys() == full.keys()
        for name, value in own.items():
            assert torch.equal(value, full[name]) == before(name, instance.p), (instance.id, name)


def test_variances_are_positive_and_no_two_instances_have_the_same(trained):
    last = "blocks.2.bn3.running_var"  # every point lies before it
    for statistics in trained.statistics.values():
        assert all((value > 0).all() for name, value in statistics.items() if name.endswith("running_var"))
        assert all(value.isfinite().all() for value in statistics.values())
    assert len({tuple(s[last].tolist()) for s in trained.statistics.values()}) == len(trained.instances)


def test_scale_and_shift_are_no_layers_twin(trained):
    norms = [p for name, p in trained.model.named_parameters() if "bn" in name]
    assert len({tuple(p.tolist()) for p in norms}) == len(norms)


def test_logits_are_of_a_sensible_size_in_every_instance(trained):
    flat = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    images = torch.cat([golden_images(3, SIZE), flat, 255 - flat])
    for instance in trained.instances:
        logits = torch_logits(trained, instance, images)
        assert logits.isfinite().all() and logits.abs().max() < 50, instance.id
        assert ((logits.std(1) > 0.1) & (logits.std(1) < 10)).all(), instance.id


def test_golden_logits_are_those_of_onnxruntime_and_differ_between_instances(family, trained):
    golden, images = read(family, "golden.json"), golden_images(3, SIZE)
    for id in ("full", "p02-r500"):
        cases = torch.tensor([case["logits"] for case in golden["cases"] if case["instance"] == id])
        logits = run_session(open_session(family / f"{id}.onnx"), images)
        assert (logits - cases).abs().max() <= golden["tolerance"]
    first = {tuple(case["logits"]) for case in golden["cases"] if case["k"] == 0}
    assert len(first) == len(trained.instances)


def test_the_command_gives_the_same_bytes_whatever_was_drawn_before(family, config_file, tmp_path):
    torch.manual_seed(99)
    out = tmp_path / "models" / "toy"
    assert main(["random", "--config", str(config_file), "--classes", str(CLASSES), "--out", str(out)]) == 0
    assert hash_files(out) == hash_files(family)
    assert (out / "manifest.json").read_bytes() == (family / "manifest.json").read_bytes()


def test_another_seed_gives_other_weights(family, tmp_path):
    other = replace(CONFIG, train=replace(CONFIG.train, seed=4))
    out = export_random(other, CLASSES, tmp_path / "models" / "toy")
    assert (out / "weights.bin").read_bytes() != (family / "weights.bin").read_bytes()


def test_the_manifest_claims_no_more_than_a_guess(family):
    manifest = verify_family(family)
    assert manifest["measuredOn"]["dataset"] == "none" and "random" in manifest["measuredOn"]["scope"]
    assert "random weights" in manifest["description"] and manifest["source"].startswith("random, never trained")
    assert manifest["provenance"]["hours"] == 0 and manifest["provenance"]["recipe"]["train"] == {"seed": 3}
    assert manifest["architecture"] == "preresnet-11-bottleneck"
    instances = build_system(CONFIG, CLASSES).configurations
    for instance, entry in zip(instances, manifest["instances"], strict=True):
        assert entry["flops"] == network_flops(CONFIG.model, CLASSES, SIZE, instance)
        assert (entry["top1"], entry["top5"], entry["temperature"]) == (1 / CLASSES, 5 / CLASSES, 1)
        assert "smoothed" not in entry
    assert read(family, "labels.json")[:2] == ["class 00", "class 01"]


def test_the_model_card_says_that_nothing_was_measured(family):
    card, manifest = (family / "README.md").read_text(), read(family, "manifest.json")
    assert "random weights" in card and "nothing was measured" in card and "top-1\n  1 of 12" in card
    assert not any(words in card for words in ("95 %", "ECE", "training part", "training run"))
    for entry in manifest["instances"]:
        assert f"| `{entry['id']}` | {entry['p']} | {entry['r']:g} | {entry['flops']:,} |" in card
    assert not (family / "frontier.png").exists() and ".png" not in card


def test_the_family_can_be_read_back(family, trained):
    loaded = load_family(family)
    assert (loaded.config.model, loaded.config.data) == (CONFIG.model, CONFIG.data)
    assert loaded.digest == trained.digest


def test_a_family_that_is_there_is_refused_before_anything_is_drawn(family, tmp_path, monkeypatch):
    def never(*given):
        raise AssertionError("weights were drawn")

    monkeypatch.setattr("sdpoint.untrained.draw", never)
    with pytest.raises(FileExistsError, match="--replace"):
        export_random(CONFIG, CLASSES, family)


def test_a_family_is_replaced_on_request(family, config_file, tmp_path):
    out = shutil.copytree(family, tmp_path / "toy")
    words = ["random", "--config", str(config_file), "--classes", "3", "--out", str(out)]
    assert main(words) == 2
    assert main([*words, "--replace"]) == 0
    assert verify_family(out)["classes"] == 3


def test_a_classifier_has_at_least_two_classes(config_file, tmp_path, capsys):
    out = tmp_path / "toy"
    assert main(["random", "--config", str(config_file), "--classes", "1", "--out", str(out)]) == 2
    assert "1 classes; expected 2 or more" in capsys.readouterr().err and not out.exists()


def test_only_instances_of_a_network_can_be_exported(config_file, tmp_path, capsys):
    words = ["random", "--config", str(config_file), "--classes", "3", "--out", str(tmp_path / "toy")]
    assert main([*words, "--set", "system.name=scales"]) == 2
    assert "only instances of sdpoint" in capsys.readouterr().err


def test_the_command_computes_in_one_thread_since_others_round_otherwise(family, config_file, tmp_path):
    out = tmp_path / "models" / "toy"
    words = ["random", "--config", str(config_file), "--classes", str(CLASSES), "--out", str(out)]
    torch.set_num_threads(2)
    try:
        assert main([*words, "--set", "train.threads=2"]) == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)  # conftest.py
    assert hash_files(out) == hash_files(family)


def test_generated_pictures_reach_from_noise_to_patches():
    pictures = random_pictures(64)
    assert pictures.shape == (4, 64, 64, 3) and pictures.dtype == torch.uint8
    changes = (pictures[:, :, 1:].int() != pictures[:, :, :-1].int()).any(-1).float().mean((1, 2))
    assert changes[0] > 0.95 and (changes[:-1] > changes[1:]).all()
    assert (pictures.float().std((1, 2)) > 20).all()
