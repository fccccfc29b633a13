"""The built service, as a separate process, serves a family that training exports."""

import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdpoint.checkpoint import load_calibrated
from sdpoint.cli import main
from sdpoint.data import load_split
from sdpoint.evaluate import logits_of
from sdpoint.run import Run

ROOT = Path(__file__).parents[3]
SERVICE = ROOT / "dist" / "main.js"
READY_S = 60
MARGIN = 0.05  # of logits: decoders differ by a level or so

pytestmark = pytest.mark.skipif(
    not SERVICE.exists() or not shutil.which("node"), reason="the service is not built: npm ci && npm run build"
)


def call(*words) -> None:
    assert main([str(word) for word in words]) == 0


@pytest.fixture(scope="module")
def taught(made, shapes, tmp_path_factory) -> Run:
    run = tmp_path_factory.mktemp("taught") / "run"
    words = ["--data", shapes, "--run", run, "--threads", 1, "--set", "data.workers=0"]
    call("adapt", "--new-head", made.family, *words)
    return Run(run)


@pytest.fixture(scope="module")
def models(adapted, taught, shapes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    words = ["--run", adapted.run.folder, "--data", adapted.photographs, "--about", adapted.about]
    call("export", *words, "--out", folder / "adapted")
    call("export", "--run", taught.folder, "--data", shapes, "--out", folder / "taught")
    return folder


@pytest.fixture(scope="module")
def url(models, tmp_path_factory) -> Iterator[str]:
    wanted = {"MODELS_DIR": models, "CACHE_DIR": tmp_path_factory.mktemp("cache"), "HOST": "127.0.0.1", "PORT": "0"}
    wanted |= {"REHEARSAL_REQUESTS": "0", "LOG_LEVEL": "info"}
    environment = os.environ | {key: str(value) for key, value in wanted.items()}
    with subprocess.Popen(["node", SERVICE], env=environment, stdout=subprocess.PIPE, text=True) as process:
        too_late = threading.Timer(READY_S, process.kill)
        too_late.start()
        seen = []
        for line in process.stdout:
            seen.append(line)
            if json.loads(line)["msg"] == "ready":
                break
        else:
            pytest.fail(f"the service did not start:\n{''.join(seen)}")
        too_late.cancel()
        drain = threading.Thread(target=process.stdout.read, daemon=True)  # a full pipe would stop the service
        drain.start()
        yield json.loads(line)["classify"].partition("/classify")[0]
        process.terminate()


def test_an_adapted_network_answers_over_http_as_in_training(adapted, url):
    compare(adapted.run, adapted.photographs, f"{url}/classify?model=adapted")


def test_instances_with_classifiers_of_their_own_answer_over_http_as_in_training(taught, shapes, url):
    compare(taught, shapes, f"{url}/classify?model=taught")


def compare(run: Run, root: Path, url: str) -> None:
    trained = load_calibrated(run)
    pictures, compared = load_split(root, "test", trained.config.data), 0
    for instance in trained.instances:
        logits = logits_of(
            trained.model, instance, trained.statistics[instance.id], pictures.images, trained.config.data
        )
        for file, expected in zip(pictures.files, logits, strict=True):
            picture = (root / file).read_bytes()
            query = f"{url}&instance={instance.id}&top=3"
            with urllib.request.urlopen(urllib.request.Request(query, picture, method="POST")) as answer:
                result = json.load(answer)["results"][0]
            assert result["model_instance"]["id"] == instance.id
            best, second = expected.topk(2)[0].tolist()
            if best - second > MARGIN:
                compared += 1
                assert result["predictions"][0]["index"] == int(expected.argmax())
    assert compared >= len(trained.instances) * len(pictures) / 2
