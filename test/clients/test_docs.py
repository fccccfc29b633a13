"""What the pages for clients show can be typed as it stands. TypeScript: test/clients/typescript."""

import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from conftest import ROOT

SNIPPETS = {
    page: re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)
    for page in ["clients.md", "protocols.md"]
}


@pytest.fixture(autouse=True)
def packages():
    """What the blocks in Python import."""
    for name in ["requests", "tritonclient"]:
        pytest.importorskip(name, reason="test/clients/requirements.txt is not installed")


def run(language: str, text: str, service: str, grpc_service: str = "") -> str:
    text = text.replace("localhost:8080", service).replace("localhost:8081", grpc_service).replace("cifar10", "tiny")
    command = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def snippets(page: str, language: str):
    return pytest.mark.parametrize("text", [text for kind, text in SNIPPETS[page] if kind == language])


def test_there_are_snippets():
    assert [language for language, _ in SNIPPETS["clients.md"]] == ["sh", "sh", "python"]
    assert sorted(language for language, _ in SNIPPETS["protocols.md"]) == ["python", "python", "sh", "sh"]


@snippets("clients.md", "sh")
def test_curl(service, text, labels):
    answer = json.loads(run("sh", text, service))
    assert len(answer["results"]) == text.count("@")
    assert all(result["predictions"][0]["label"] in labels for result in answer["results"])


@snippets("clients.md", "python")
def test_requests(service, text, labels):
    label, share = run("python", text, service).split()
    assert label in labels
    assert 0 < float(share) <= 1


@snippets("clients.md", "python")
def test_requests_says_what_was_wrong(service, text):
    with pytest.raises(AssertionError, match="urn:dimmer:problem:infeasible-budget: no instance"):
        run("python", text.replace("latency=250, strict=?0", "cost=0.001"), service)


@pytest.fixture
def busy():
    """host:port of a service that refuses the first request, and the lengths of the bodies that came."""
    lengths = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            lengths.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            answer = b'{"results": [{"predictions": [{"label": "cat"}], "cost": {"share": 1}}]}'
            self.send_response(503 if len(lengths) == 1 else 200)
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"127.0.0.1:{server.server_port}", lengths
        server.shutdown()


@pytest.mark.parametrize("language, text", [s for s in SNIPPETS["clients.md"] if "--form" not in s[1]])
def test_a_refusal_is_sent_again(busy, language, text, jpeg):
    address, lengths = busy
    run(language, text, address)
    assert lengths == [len(jpeg)] * 2


@snippets("protocols.md", "sh")
def test_curl_of_the_protocol(service, text):
    printed = run("sh", text, service)
    assert '"instance":"' in printed
    assert "error" not in printed


@snippets("protocols.md", "python")
def test_tritonclient(service, grpc_service, text, labels):
    printed = run("python", text, service, grpc_service)
    assert "p01-r500" in printed
    assert sum(label in printed for label in labels) >= 2
