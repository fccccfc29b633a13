"""The service as its users start it, on a free port, with the smallest family."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAMILY = ROOT / "test/fixtures/families/tiny"
START_S = 120


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture(scope="session")
def addresses(tmp_path_factory) -> tuple[str, str]:
    """host:port of a service that is ready, for HTTP and for gRPC."""
    subprocess.run(["npm", "run", "--silent", "build"], cwd=ROOT, check=True)
    port, grpc_port = free_port(), free_port()
    settings = {
        "PORT": str(port),
        "GRPC_PORT": str(grpc_port),
        "HOST": "127.0.0.1",
        "MODELS_DIR": str(FAMILY.parent),
        "CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "LOG_LEVEL": "error",
        "REHEARSAL_REQUESTS": "0",
    }
    process = subprocess.Popen(["node", "dist/main.js"], cwd=ROOT, env={**os.environ, **settings})
    try:
        address = f"127.0.0.1:{port}"
        end = time.monotonic() + START_S
        while not is_ready(address):
            assert process.poll() is None, "the service ended while it started"
            assert time.monotonic() < end, f"the service was not ready after {START_S} s"
            time.sleep(0.1)
        yield address, f"127.0.0.1:{grpc_port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, "the service ends in order"
    finally:
        process.kill()


@pytest.fixture(scope="session")
def service(addresses) -> str:
    return addresses[0]


@pytest.fixture(scope="session")
def grpc_service(addresses) -> str:
    return addresses[1]


@pytest.fixture(scope="session")
def jpeg() -> bytes:
    return (ROOT / "docs/examples/cat.jpg").read_bytes()


@pytest.fixture(scope="session")
def labels() -> list[str]:
    return json.loads((FAMILY / "labels.json").read_text())


@pytest.fixture(scope="session")
def golden():
    """A picture [1, 16, 16, 3], the logits that training has for it, and how far they may differ."""
    import numpy as np

    recorded = json.loads((FAMILY / "golden.json").read_text())
    case = next(c for c in recorded["cases"] if c["instance"] == "full")
    y, x, c = np.indices((16, 16, 3))
    picture = ((31 * x + 17 * y + 7 * c + 13 * case["k"]) % 256).astype(np.uint8)
    return picture[np.newaxis], np.array(case["logits"], np.float32), recorded["tolerance"]
