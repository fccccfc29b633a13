"""training/gpu/distil.py with a tiny network on a CPU: its dry run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdpoint.checkpoint import load_calibrated
from sdpoint.run import Run

TRAINING = Path(__file__).parents[2]
QUICK = ["distil.steps=20", "distil.held_out=0", "distil.crop_sets=1", "system.points=[4]", "train.batch=4"]

# What a machine without the packages for the export lacks.
WITHOUT_EXPORT = """
import runpy, sys
for name in ("onnx", "onnxruntime", "onnxslim", "jsonschema", "matplotlib"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition("/")[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def call(*words):
    script = [sys.executable, "-c", WITHOUT_EXPORT, TRAINING / "gpu/distil.py", *words]
    return subprocess.run([str(word) for word in script], capture_output=True, text=True)


@pytest.fixture
def words(adapted, tmp_path):
    shutil.copytree(adapted.photographs / "train", tmp_path / "pictures/1")
    settings = [part for s in QUICK for part in ("--set", s)]
    run = ["--pictures", tmp_path / "pictures", "--run", tmp_path / "run", "--device", "cpu"]
    return ["train", adapted.adapter, *run, *settings]


def test_a_run_is_timed_done_and_returned_in_parts(words, tmp_path):
    done = call(*words, "--seconds", 300)
    assert done.returncode == 0, done.stderr
    assert "20 of 20 steps" in done.stdout
    assert call(*words, "--seconds", 0).returncode == 0, "made again, a call finds all done"
    run, out, again = (tmp_path / name for name in ("run", "out", "again"))
    assert call("give", run, "--out", out).returncode == 0
    assert sorted(path.name for path in out.iterdir()) == ["run.00", "run.01", "run.02"]
    assert call("take", again, "--from", out).returncode == 0
    assert {path.name for path in run.iterdir()} - {path.name for path in again.iterdir()} == {"distilled.pt"}
    assert (again / "calibrated.pt").read_bytes() == (run / "calibrated.pt").read_bytes()
    assert load_calibrated(Run(again)).digest == load_calibrated(Run(run)).digest
    assert json.loads((again / "effect.json").read_text())["distil"]["steps"] == 20


def test_too_little_time_is_an_error_that_says_so(words):
    refused = call(*words, "--seconds", 0)
    assert refused.returncode != 0 and "steps are too few" in refused.stderr


def test_what_is_not_finished_is_not_returned(tmp_path):
    refused = call("give", tmp_path, "--out", tmp_path / "out")
    assert refused.returncode != 0 and "no finished run" in refused.stderr
