import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch

from sdpoint.checkpoint import load_calibrated
from sdpoint.config import ConfigError, DataConfig, SystemConfig
from sdpoint.data import load_split
from sdpoint.evaluate import accuracy_of
from sdpoint.export import ExportError, manifest
from sdpoint.export.about import About, load_about
from sdpoint.export.family import build_graphs, export_family, verify_family
from sdpoint.export.measure import check_parity, golden_images, torch_logits
from sdpoint.flops import network_flops
from sdpoint.run import Run


@pytest.fixture
def family(made, tmp_path):
    return shutil.copytree(made.family, tmp_path / "family")


def read(family, name):
    return json.loads((family / name).read_text())


def test_the_folder_holds_exactly_what_the_manifest_lists(made):
    listed = read(made.family, "manifest.json")
    assert {p.name for p in made.family.iterdir()} == {*listed["files"], "manifest.json"}
    for name, digest in listed["files"].items():
        assert hashlib.sha256((made.family / name).read_bytes()).hexdigest() == digest
    assert {"weights.bin", "labels.json", "golden.json", "LICENSE", "README.md", "frontier.png"} < set(listed["files"])
    assert verify_family(made.family) == listed
    assert not list(made.family.parent.glob(".*"))  # nothing temporary is left


def test_the_manifest_says_what_the_run_says(made):
    listed, trained = read(made.family, "manifest.json"), load_calibrated(made.run)
    assert [i["id"] for i in listed["instances"]] == [i.id for i in trained.instances]
    for instance, entry in zip(trained.instances, listed["instances"], strict=True):
        assert (entry["p"], entry["r"]) == (instance.p, instance.r)
        assert entry["flops"] == network_flops(trained.config.model, 3, 16, instance) == 2 * entry["macs"]
    origin = listed["provenance"]
    assert origin["seed"] == trained.config.train.seed and origin["recipe"]["train"]["epochs"] == 2
    assert origin["commit"] == made.run.records("start")[0]["commit"]
    assert {"torch", "python", "onnxruntime"} <= set(origin["versions"])
    assert listed["name"] == "tiny" and listed["baseline"] is None
    assert read(made.family, "labels.json") == ["diagonal", "horizontal", "vertical"]


def test_accuracy_is_that_of_the_whole_test_part(made):
    trained, test = load_calibrated(made.run), load_split(made.data, "test", DataConfig(size=16))
    for instance, entry in zip(trained.instances, read(made.family, "manifest.json")["instances"], strict=True):
        expected = accuracy_of(torch_logits(trained, instance, test.images), test.labels)
        assert (entry["correct"], entry["n"]) == (expected.correct, 24)
        assert (entry["top1"], entry["top5"]) == (expected.top1, expected.top5)


def test_golden_pictures_are_generated_by_the_formula():
    images = golden_images(3, 5)
    assert images.shape == (3, 5, 5, 3)
    for k, y, x, c in ((0, 0, 0, 0), (1, 2, 4, 1), (2, 4, 3, 2)):
        assert images[k, y, x, c] == (31 * x + 17 * y + 7 * c + 13 * k) % 256


def test_golden_logits_cover_every_instance_and_are_pytorchs(made):
    golden, trained = read(made.family, "golden.json"), load_calibrated(made.run)
    assert golden["tolerance"] == 1e-3
    assert [(c["instance"], c["k"]) for c in golden["cases"]] == [
        (i.id, k) for i in trained.instances for k in range(3)
    ]
    for instance in trained.instances:
        logits = torch_logits(trained, instance, golden_images(3, 16))
        cases = [c["logits"] for c in golden["cases"] if c["instance"] == instance.id]
        torch.testing.assert_close(torch.tensor(cases), logits, atol=1e-5, rtol=0)


def test_the_model_card_shows_every_instance_and_how_often_the_test_part_was_opened(made):
    card = (made.family / "README.md").read_text()
    for entry in read(made.family, "manifest.json")["instances"]:
        assert f"| `{entry['id']}` | {entry['p']} |" in card and f"{entry['top1']:.2%}" in card
    assert "opened once in this run, for 1 set of weights" in card
    assert "(frontier.png)" in card and "arXiv 1801.09335" in card
    assert (made.family / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert (made.family / "LICENSE").read_text().lstrip().startswith("Apache License")


def test_the_folder_is_little_more_than_the_weights(made):
    total = sum(path.stat().st_size for path in made.family.iterdir())
    assert total <= 1.6 * (made.family / "weights.bin").stat().st_size + 1e6


def test_a_second_export_counts_the_second_opening(sources, tmp_path):
    sources.run.log("test-opened", by="export", weights=sources.trained.digest, pictures=24)
    export_family(sources, tmp_path / "models" / "again")
    assert "opened twice in this run, for 1 set of weights" in (tmp_path / "models/again/README.md").read_text()


def test_graphs_hold_shared_parameters_once_and_their_own_apart(sources):
    trained, name = sources.trained, "blocks.2.bn1.weight"
    distilled = trained.statistics["p01-r500"] | {name: torch.full_like(trained.model.blocks[2].bn1.weight, 2)}
    graphs = build_graphs(replace(trained, statistics=trained.statistics | {"p01-r500": distilled}))
    full, other, own = (graphs[id].tensors for id in ("full", "p02-r500", "p01-r500"))
    assert all(other[key] is full[key] for key, _ in trained.model.named_parameters())
    assert own["fc.weight"] is full["fc.weight"] and (own[name] == 2).all() and (full[name] != 2).any()


def test_parity_is_checked_before_the_test_part_is_opened(sources, tmp_path, monkeypatch):
    def wrong(*given):
        return torch_logits(*given) + 2e-3

    def never():
        raise AssertionError("the test part was opened")

    monkeypatch.setattr("sdpoint.export.measure.torch_logits", wrong)
    with pytest.raises(ExportError, match=r"logits differ by 0\.002 at batch 1"):
        export_family(replace(sources, open_test=never), tmp_path / "models" / "bad")
    assert list((tmp_path / "models").iterdir()) == []


def test_parity_catches_numbers_that_are_none(sources, made, monkeypatch):
    monkeypatch.setattr("sdpoint.export.measure.torch_logits", lambda *given: torch_logits(*given) * float("nan"))
    with pytest.raises(ExportError, match="differ by nan"):
        check_parity(made.family, sources.trained, sources.held_out.images)


def test_an_export_that_fails_leaves_nothing_and_keeps_what_was_there(sources, family):
    def failing():
        raise OSError("no such disk")

    before = manifest.hash_files(family)
    with pytest.raises(OSError):
        export_family(replace(sources, open_test=failing), family, replace=True)
    assert manifest.hash_files(family) == before and not list(family.parent.glob(".*"))


def test_a_family_is_replaced_only_on_request_and_only_if_it_is_one(sources, family, tmp_path):
    with pytest.raises(FileExistsError, match="--replace"):
        export_family(sources, family)
    export_family(sources, family, replace=True)
    assert verify_family(family)["name"] == "family" and not list(family.parent.glob(".*"))
    (tmp_path / "home").mkdir()
    with pytest.raises(ExportError, match="is no family"):
        export_family(sources, tmp_path / "home", replace=True)


@pytest.mark.parametrize("name", ["Cifar", "cifar_10", "-x"])
def test_names_the_service_would_refuse_are_refused(sources, tmp_path, name):
    with pytest.raises(ExportError, match="cannot name a family"):
        export_family(sources, tmp_path / name)


def test_without_held_out_pictures_there_are_no_temperatures(sources, tmp_path):
    none = sources.held_out.subset(torch.empty(0, dtype=torch.long))
    with pytest.raises(ExportError, match="held_out"):
        export_family(replace(sources, held_out=none), tmp_path / "models" / "x")


def test_a_changed_file_a_missing_file_and_a_stranger_are_noticed(family):
    for change in (
        lambda: (family / "weights.bin").write_bytes(bytes(100)),
        lambda: (family / "LICENSE").unlink(),
        lambda: (family / "notes.txt").write_text("x"),
    ):
        change()
        with pytest.raises(ExportError, match="not those of its manifest"):
            verify_family(family)


def test_wrong_golden_logits_are_noticed(family):
    golden, listed = read(family, "golden.json"), read(family, "manifest.json")
    golden["cases"][-1]["logits"][0] += 0.01
    (family / "golden.json").write_text(json.dumps(golden))
    (family / "manifest.json").write_text(json.dumps({**listed, "files": manifest.hash_files(family)}))
    with pytest.raises(ExportError, match=r"p03-r750 differs from golden\.json"):
        verify_family(family)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Tiny"}, r"\$\.name"),
        ({"formatVersion": 1}, r"\$\.formatVersion"),
        ({"licence": "x"}, "licence"),
        ({"classes": 1}, r"\$\.classes"),
    ],
)
def test_a_manifest_the_service_would_refuse_is_refused(made, change, message):
    with pytest.raises(ExportError, match=message):
        manifest.validate({**read(made.family, "manifest.json"), **change})


def test_about_files_are_read_strictly(tmp_path):
    path, run = tmp_path / "about.yaml", Run(tmp_path / "run")
    own = load_about(None, run)[0]
    assert replace(own, source="") == About() and own.source.startswith("trained from scratch")
    path.write_text("licence: MIT")
    with pytest.raises(ConfigError, match="unknown key licence"):
        load_about(path, run)
    path.write_text("license: MIT")
    with pytest.raises(ConfigError, match="license_file"):
        load_about(path, run)
    path.write_text("license: MIT\nlicense_file: mit.txt")
    with pytest.raises(ConfigError, match=r"mit\.txt"):
        load_about(path, run)
    (tmp_path / "mit.txt").write_text("the text")
    assert load_about(path, run)[1] == "the text"


def test_what_others_trained_keeps_its_attribution_and_licence(tmp_path):
    path, run = tmp_path / "about.yaml", Run(tmp_path / "run")
    run.log("taught", about={"source": "theirs (by them)", "license": "MIT"})
    (run.folder / "LICENSE").write_text("their text")
    about, text = load_about(None, run)
    assert (about.source, about.license, text) == ("theirs (by them)", "MIT", "their text")
    run.log("adapted", steps=[])
    with pytest.raises(ConfigError, match="others trained these weights"):
        load_about(None, run)
    path.write_text("source: them")
    assert load_about(path, run)[0].source == "them"


def test_calibration_errors_are_in_the_card_and_beside_the_run(made):
    written = json.loads((made.run.folder / "calibration-error.json").read_text())
    assert written["instances"][0]["id"] == "full" and written["n"] == 24
    card = (made.family / "README.md").read_text()
    for instance in written["instances"]:
        assert 0 <= instance["errorWith"] <= 1
        assert f"{instance['temperature']:.3f} | {instance['errorWithout']:.2%} | {instance['errorWith']:.2%}" in card


def test_only_instances_of_a_network_can_be_exported(sources, tmp_path):
    config = replace(sources.trained.config, system=SystemConfig(name="scales"))
    with pytest.raises(ExportError, match="scales has others"):
        export_family(replace(sources, trained=replace(sources.trained, config=config)), tmp_path / "family")
