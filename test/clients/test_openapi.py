"""Schemathesis sends what openapi.yaml allows, and what it does not, to every path of a service."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("schemathesis", reason="test/clients/requirements.txt is not installed")

HERE = Path(__file__).parent / "openapi"
# About a minute. By hand, to look for more: MAX_EXAMPLES=1000.
MAX_EXAMPLES = os.environ.get("MAX_EXAMPLES", "50")


def test_every_path_answers_as_described(service, tmp_path):
    schemathesis = [str(Path(sys.executable).with_name("st")), "--config-file", str(HERE / "schemathesis.toml"), "run"]
    options = ["--url", f"http://{service}", "--max-examples", MAX_EXAMPLES]
    command = [*schemathesis, *options, str(ROOT / "openapi.yaml")]
    env = {**os.environ, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py")}
    # It leaves files behind where it runs.
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
