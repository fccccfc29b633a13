"""Screens two settings on a tiny network, and goes on after an interruption."""

import json

import pytest
import screening
import yaml

from sdpoint.config import ConfigError

SETTINGS = ["distil.steps=2", "distil.held_out=0", "distil.crop_sets=1", "data.workers=0", "system.points=[4]"]


@pytest.fixture
def listed(adapted, tmp_path):
    runs = [{"name": "norms"}, {"name": "all", "set": ["distil.shared=all"]}]
    path = tmp_path / "list.yaml"
    path.write_text(yaml.safe_dump({"adapter": str(adapted.adapter), "set": SETTINGS, "runs": runs}))
    return path


@pytest.fixture
def screen(adapted, listed, tmp_path):
    def call(*names):
        words = [listed, *names, "--pictures", adapted.photographs / "train"]
        words += ["--labelled", adapted.photographs / "test"]
        words += ["--cache", tmp_path / "cache", "--runs", tmp_path / "runs", "--out", tmp_path / "out.jsonl"]
        screening.main([str(word) for word in words])
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return call


def test_every_setting_has_a_line_and_is_done_once(screen, tmp_path, monkeypatch):
    first, second = screen()
    assert first["name"] == "norms" and first["set"] == [] and first["distil"]["shared"] == "nothing"
    assert second["name"] == "all" and second["set"] == ["distil.shared=all"] and second["distil"]["shared"] == "all"
    assert [row["id"] for row in second["instances"]] == ["full", "p04-r500", "p04-r750"]
    assert second["instances"][1]["distilled"]["agreement"]["n"] == 6
    assert first["instances"][0]["distilled"]["agreement"]["share"] == 1
    monkeypatch.setattr(screening, "adapt_in_bulk", lambda *_: pytest.fail("done before"))
    assert screen() == [first, second]
    (tmp_path / "out.jsonl").unlink()  # killed between the end of a run and its line
    assert screen("all") == [second]


def test_names_select_runs(screen):
    assert [line["name"] for line in screen("all")] == ["all"]
    assert [line["name"] for line in screen()] == ["all", "norms"]
    with pytest.raises(ConfigError, match="no run some"):
        screen("some")


@pytest.mark.parametrize("runs", [[], [{"name": "a"}, {"name": "a"}], [{"set": []}]])
def test_runs_need_names_of_their_own(listed, runs):
    listed.write_text(yaml.safe_dump(yaml.safe_load(listed.read_text()) | {"runs": runs}))
    with pytest.raises(ConfigError, match="a name of its own"):
        screening.load_list(listed)


def test_the_shipped_lists_are_valid():
    folder = screening.Path(screening.__file__).parents[1] / "configs" / "adapt"
    for path in folder.glob("*.yaml"):
        for adapter, _ in screening.load_list(path).values():
            assert adapter.distil is not None
