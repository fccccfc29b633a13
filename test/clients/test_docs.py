"""What docs/protocols.md says can be typed, can be typed."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

SNIPPETS = re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "docs/protocols.md").read_text(), re.M | re.S)


def run(language: str, text: str, service: str, grpc_service: str = "") -> str:
    text = text.replace("localhost:8080", service).replace("localhost:8081", grpc_service).replace("cifar10", "tiny")
    command = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_snippets():
    assert sorted(language for language, _ in SNIPPETS) == ["python", "python", "sh", "sh"]


@pytest.mark.parametrize("text", [text for language, text in SNIPPETS if language == "sh"])
def test_curl(service, text):
    printed = run("sh", text, service)
    assert '"instance":"' in printed
    assert "error" not in printed


@pytest.mark.parametrize("text", [text for language, text in SNIPPETS if language == "python"])
def test_python(service, grpc_service, text, labels):
    printed = run("python", text, service, grpc_service)
    assert "p01-r500" in printed
    assert sum(label in printed for label in labels) >= 2
