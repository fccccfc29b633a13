import shutil

import pytest
import torch

from sdpoint.checkpoint import load_calibrated, load_trained, save_calibrated
from sdpoint.run import Run, RunError


@pytest.fixture
def run(made, tmp_path):
    return Run(shutil.copytree(made.run.folder, tmp_path / "run"))


def test_what_was_calibrated_comes_back(run):
    trained, calibrated = load_trained(run), load_calibrated(run)
    assert trained.statistics == {} and not trained.model.training
    assert set(calibrated.statistics) == {i.id for i in trained.instances}
    assert calibrated.digest == trained.digest and calibrated.classes == ("diagonal", "horizontal", "vertical")
    assert calibrated.config.data.size == 16 and calibrated.epoch == 2 and calibrated.seconds > 0


def test_a_run_that_was_not_trained_says_so(tmp_path):
    with pytest.raises(RunError, match="train first"):
        load_trained(Run(tmp_path))
    with pytest.raises(RunError, match="is not a folder"):
        Run.existing(tmp_path / "nothing")


def test_a_run_that_was_not_calibrated_says_so(run):
    (run.folder / "calibrated.pt").unlink()
    with pytest.raises(RunError, match="sdpoint calibrate"):
        load_calibrated(run)


def test_statistics_of_older_weights_are_refused(run):
    content = torch.load(run.folder / "checkpoint.pt", weights_only=True)
    content["model"]["fc.bias"] += 1
    torch.save(content, run.folder / "checkpoint.pt")
    with pytest.raises(RunError, match="calibrate` again"):
        load_calibrated(run)


def test_a_broken_file_is_refused(run):
    (run.folder / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(RunError, match="cannot be read"):
        load_trained(run)


def test_a_calibration_that_fails_to_be_written_leaves_the_old_one(run, monkeypatch):
    before = (run.folder / "calibrated.pt").read_bytes()

    def failing(content, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", failing)
    with pytest.raises(OSError):
        save_calibrated(run, load_trained(run), {})
    assert (run.folder / "calibrated.pt").read_bytes() == before
