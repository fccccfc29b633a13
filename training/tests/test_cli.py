import json
import shutil
from dataclasses import asdict

import pytest
import yaml
from make_fixture import CONFIG
from networks import TINY

from sdpoint.cli import main
from sdpoint.run import Run


@pytest.fixture
def run(made, tmp_path):
    return Run(shutil.copytree(made.run.folder, tmp_path / "run"))


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    return path


def call(*words) -> int:
    return main([str(word) for word in words])


def test_info_prints_the_network_and_every_instance(config_file, capsys):
    assert call("info", "--config", config_file, "--classes", 3) == 0
    out = capsys.readouterr().out
    assert out.startswith("wrn-10-1-base4: 5,047 parameters, 16x16 pictures, 3 classes")
    assert len([line for line in out.splitlines() if line.startswith(("full", "p0"))]) == 7


@pytest.mark.parametrize("case", TINY, ids=lambda c: c.name)
def test_info_knows_every_kind_of_network(case, tmp_path, capsys):
    path = tmp_path / "config.yaml"
    model = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(case.config).items()}
    path.write_text(yaml.safe_dump({"data": {"size": case.size}, "model": model}))
    assert call("info", "--config", path, "--classes", case.classes) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{case.name}: ")
    assert [line.split()[0] for line in out.splitlines()[3:]] == [i.id for i in case.instances]


def test_evaluate_prints_a_table_and_writes_json(made, run, capsys):
    assert call("evaluate", "--data", made.data, "--run", run.folder) == 0
    written = json.loads((run.folder / "evaluation-held-out.json").read_text())
    assert written["part"] == "held-out" and written["statistics"] == "own" and written["epoch"] == 2
    assert len(written["instances"]) == 7 and {i["n"] for i in written["instances"]} == {9}
    assert any(i["frontier"] for i in written["instances"])
    assert "p01-r500" in capsys.readouterr().out
    assert len(run.records("test-opened")) == 1  # by the export that made this run, not by this


def test_each_look_at_the_test_part_is_logged(made, run):
    assert call("evaluate", "--data", made.data, "--run", run.folder, "--part", "test") == 0
    openings = run.records("test-opened")
    assert [o["by"] for o in openings] == ["export", "evaluate"]
    assert len({o["weights"] for o in openings}) == 1 and openings[1]["pictures"] == 24
    written = json.loads((run.folder / "evaluation-test.json").read_text())
    manifest = json.loads((made.family / "manifest.json").read_text())
    assert [i["correct"] for i in written["instances"]] == [i["correct"] for i in manifest["instances"]]


def test_shared_statistics_need_no_calibration_and_go_to_their_own_file(made, run):
    (run.folder / "calibrated.pt").unlink()
    assert call("evaluate", "--data", made.data, "--run", run.folder, "--statistics", "shared") == 0
    assert json.loads((run.folder / "evaluation-held-out-shared.json").read_text())["statistics"] == "shared"
    assert not (run.folder / "evaluation-held-out.json").exists()


def test_calibration_is_repeatable(made, run):
    before = (run.folder / "calibrated.pt").read_bytes()
    assert call("calibrate", "--data", made.data, "--run", run.folder) == 0
    assert (run.folder / "calibrated.pt").read_bytes() == before
    assert run.records("calibrated")[-1]["pictures"] == 51


def test_a_bad_configuration_is_refused(made, config_file, tmp_path, capsys):
    words = ["train", "--config", config_file, "--data", made.data, "--run", tmp_path / "new"]
    assert call(*words, "--set", "train.epoch=3") == 2
    assert "sdpoint: unknown key train.epoch" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_run_that_exists_is_not_trained_over(made, run, config_file, capsys):
    words = ["--data", made.data, "--run", run.folder, "--set", "data.held_out=9"]
    assert call("train", "--config", config_file, *words) == 2
    assert "pass --resume" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["calibrate", "evaluate", "export"])
def test_commands_refuse_a_folder_that_is_no_run_and_make_none(made, tmp_path, capsys, command):
    out = ["--out", tmp_path / "family"] if command == "export" else []
    assert call(command, "--data", made.data, "--run", tmp_path / "nothing", *out) == 2
    assert "is not a folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert call(command, "--data", made.data, "--run", tmp_path / "empty", *out) == 2
    assert "does not exist; " in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty"]


@pytest.mark.parametrize("command", ["evaluate", "export"])
def test_commands_that_need_calibration_say_so(made, run, tmp_path, capsys, command):
    (run.folder / "calibrated.pt").unlink()
    out = ["--out", tmp_path / "family"] if command == "export" else []
    assert call(command, "--data", made.data, "--run", run.folder, *out) == 2
    assert "run `sdpoint calibrate` first" in capsys.readouterr().err


def test_a_data_set_with_other_classes_is_refused(made, run, tmp_path, capsys):
    data = shutil.copytree(made.data, tmp_path / "data")
    for part in ("train", "test"):
        (data / part / "vertical").rename(data / part / "upright")
    assert call("evaluate", "--data", data, "--run", run.folder, "--part", "test") == 2
    assert call("calibrate", "--data", data, "--run", run.folder) == 2
    assert capsys.readouterr().err.count("the data set has classes") == 2
    assert len(run.records("test-opened")) == 1


def test_a_wrong_layout_is_refused(run, tmp_path, capsys):
    assert call("calibrate", "--data", tmp_path, "--run", run.folder) == 2
    assert "expected <root>/{train,test}/<class>/<pictures>" in capsys.readouterr().err


def test_export_refuses_a_folder_that_is_there(made, run, capsys):
    assert call("export", "--data", made.data, "--run", run.folder, "--out", made.family) == 2
    assert "pass --replace" in capsys.readouterr().err


def test_an_unknown_command_is_an_error():
    with pytest.raises(SystemExit) as caught:
        main(["exprot"])
    assert caught.value.code == 2
