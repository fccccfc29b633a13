"""Checks the service on a GPU, in one run of about seven minutes. README.md beside this file lists what is checked.

    python3 deploy/gpu-check/check.py FILES --out results                                    on a machine with a GPU
    python3 deploy/gpu-check/check.py FILES --out results --provider cpu --seconds 300       a dry run on a CPU

FILES is the folder that prepare.py has filled. Results go to <out>/gpu-serving.json, which is written after every step,
so that an interruption loses only the step under way; logs of the service and of graphs.mjs lie beside it. Exit status
1 if an answer differs from the CPU's, if a node ran on the CPU, or if a step failed.
Standard library only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SIZES = [1, 2, 4, 8, 16, 32, 64]  # batch sizes of a GPU (src/runtime/batch-sizes.ts); the first four are those of a CPU
CLIENTS = 64  # requests at the same time: they fill the largest batch
LEAST_S = 20  # a step is not begun with less time left
START_S = 240  # time limit of a start, which runs every instance at every batch size
ACCEPTED_LOGIT = 1e-3  # accepted difference of a logit, with TF32 off


@dataclass
class Check:
    """A run of the check. files: the folder that prepare.py has filled; seconds: time for all steps."""

    files: Path
    out: Path
    provider: str
    seconds: float
    began: float = field(default_factory=time.monotonic)
    results: dict[str, Any] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def app(self) -> Path:
        return self.files / "app"

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.began)

    def step(self, name: str, work, needs: float = 0) -> Any:
        """Run a step, add its result or its error to the results, and write the file. Returns what `work` returned.

        needs: with fewer seconds left the step is not begun, and counts as failed. A failed step returns None.
        """
        result: Any = None
        started = time.monotonic()
        try:
            if self.left < needs:
                raise TimeoutError(f"{self.left:.0f} s are left, and this needs {needs:.0f}")
            result = work()
        except Exception as error:  # later steps may still succeed
            self.failed.append(name)
            self.results[name] = {"error": f"{type(error).__name__}: {error}"}
        else:
            self.results[name] = result if isinstance(result, dict) else {"done": True}
        self.results.setdefault("seconds", {})[name] = round(time.monotonic() - started, 1)
        print(f"{name}: {json.dumps(self.results[name])[:2000]}", flush=True)
        (self.out / "gpu-serving.json").write_text(json.dumps(self.results, indent=1) + "\n")
        return result

    def environment(self, **more: str) -> dict[str, str]:
        """Environment variables for a process that uses the device. more: further variables."""
        libraries = ":".join(cuda_folders())
        path = f"{libraries}:{os.environ.get('LD_LIBRARY_PATH', '')}" if self.provider == "cuda" else ""
        base = {k: v for k, v in os.environ.items() if k not in ("EXECUTION_PROVIDER", "MODELS_DIR")}
        return {**base, "LD_LIBRARY_PATH": path, "ORT_DISABLE_TELEMETRY": "1", **more}

    @property
    def node(self) -> str:
        return str(self.files / "node")


def cuda_folders() -> list[str]:
    """Folders of the CUDA libraries that Python packages such as PyTorch bring, and of the driver's."""
    roots = [Path(p) for p in sys.path if p and Path(p, "nvidia").is_dir()]
    found = {str(lib.parent) for root in roots for lib in Path(root, "nvidia").rglob("*.so*") if lib.is_file()}
    return sorted(found) + [p for p in ("/usr/local/nvidia/lib64", "/usr/local/nvidia/lib") if Path(p).is_dir()]


def output(command: list[str], **more: Any) -> str:
    """What a command prints, or why it could not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, **more)
        return (done.stdout + done.stderr).strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"


def facts(check: Check) -> dict[str, Any]:
    """The GPU, its driver, versions, and the libraries that the CUDA provider does not find."""
    provider = check.app / "node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so"
    listed = output(["ldd", str(provider)], env=check.environment()) if provider.exists() else ""
    return {
        "gpu": output(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]),
        "cpus": os.cpu_count(),
        "node": output([check.node, "--version"]),
        "onnxruntime": json.loads((check.app / "node_modules/onnxruntime-node/package.json").read_text())["version"],
        "commit": (check.files / "commit").read_text().strip(),
        "folders": cuda_folders(),
        "notFound": [line.strip() for line in listed.splitlines() if "not found" in line],
    }


def device_mib() -> int | None:
    """GPU memory in use, in MiB; None if nvidia-smi does not tell."""
    text = output(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"])
    return int(text.split()[0]) if text.split()[:1] and text.split()[0].isdigit() else None


def without_device(check: Check) -> dict[str, Any]:
    """Start the service with cuda while no GPU is visible: it must end with status 1 and an error that says so."""
    environment = check.environment(CUDA_VISIBLE_DEVICES="-1", EXECUTION_PROVIDER="cuda", PORT="0", HOST="127.0.0.1")
    done = subprocess.run(
        [check.node, "dist/main.js"], cwd=check.app, env=environment, capture_output=True, text=True, timeout=60
    )
    errors = [line for line in done.stdout.splitlines() if "cannot start" in line]
    if done.returncode != 1 or not errors:
        raise AssertionError(f"exit status {done.returncode}, output {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return {"status": done.returncode, "message": json.loads(errors[-1])["error"]}


def graphs(check: Check, tf32: bool, timed: list[str], seconds: float) -> dict[str, Any]:
    """Run graphs.mjs. timed: ids of the instances whose run times are measured; seconds: time for all graphs."""
    job = {
        "app": str(check.app),
        "provider": check.provider,
        "sizes": SIZES if check.provider == "cuda" else SIZES[:4],
        "timed": timed,
        "seconds": seconds,
    }
    environment = check.environment(**({} if tf32 else {"NVIDIA_TF32_OVERRIDE": "0"}))
    name = f"graphs-{'tf32' if tf32 else 'float32'}.log"
    with (check.out / name).open("w") as log:
        done = subprocess.run(
            [check.node, str(HERE / "graphs.mjs"), json.dumps(job)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=seconds + 60,
        )
    if done.returncode:
        raise AssertionError(f"exit status {done.returncode}; see {name}")
    found = json.loads(done.stdout.splitlines()[-1])
    on_cpu = {key: nodes for key, r in found.items() if (nodes := r.get("nodes", {}).get("CPUExecutionProvider"))}
    refused = {key: r["nothingOnCpu"] for key, r in found.items() if r["nothingOnCpu"] is not True}
    return {
        "graphs": len(found),
        "errors": {key: r["error"] for key, r in found.items() if "error" in r},
        "onCpu": {**on_cpu, **refused} if check.provider == "cuda" else "the device is the CPU",
        "largestDifference": max((r["golden"]["most"] for r in found.values() if "golden" in r), default=None),
        "each": found,
    }


class Service:
    """The service as a process on a free port. The constructor returns when the service is ready.

    name: of its log; cache: CACHE_DIR; more: further environment variables.
    """

    def __init__(self, check: Check, name: str, cache: Path, **more: str) -> None:
        environment = check.environment(
            EXECUTION_PROVIDER=check.provider,
            CACHE_DIR=str(cache),
            PORT="0",
            HOST="127.0.0.1",
            LOG_LEVEL="info",
            MAX_QUEUE="1024",
            **more,
        )
        started = time.monotonic()
        self.path = check.out / f"service-{name}.log"
        with self.path.open("w") as log:
            self.process = subprocess.Popen(
                [check.node, "--single-threaded-gc", "--initial-old-space-size=128", "dist/main.js"],
                cwd=check.app,
                env=environment,
                stdout=log,
                stderr=log,
            )
        while '"msg":"ready"' not in (text := self.path.read_text()):
            if self.process.poll() is not None or time.monotonic() - started > START_S:
                self.process.kill()
                raise AssertionError(f"the service did not start: {text[-3000:]}")
            time.sleep(0.05)
        self.start_s = round(time.monotonic() - started, 2)
        self.port = int(re.search(r'"address":"http://[^"]*?:(\d+)"', text)[1])
        self.log = text

    def get(self, path: str) -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse().read().decode()
        connection.close()
        return answer

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def device(check: Check, service: Service) -> dict[str, Any]:
    """The device as reported by /models, log and metrics. Raises AssertionError if it is not the same everywhere."""
    models = json.loads(service.get("/models"))["models"]
    metrics = service.get("/metrics")
    found = {
        "models": {m["name"]: m["device"] for m in models},
        "log": sorted(set(re.findall(r'"device":"(\w+)"', service.log))),
        "metrics": re.findall(r'^dimmer_engine_threads\{device="(\w+)"\} \d+', metrics, re.M),
        "int8": [f"{m['name']}/{i['id']}" for m in models for i in m["instances"] if i["precision"] == "int8"],
        "startS": service.start_s,
        "deviceMib": device_mib(),
        "memoryBytes": re.findall(r"^dimmer_memory_pss_bytes (\S+)", metrics, re.M),
        "latencyMs": {f"{m['name']}/{i['id']}": i["latencyMs"] for m in models for i in m["instances"] if i["served"]},
    }
    reported = {*found["models"].values(), *found["log"], *found["metrics"]}
    if reported != {check.provider} or (check.provider == "cuda" and found["int8"]):
        raise AssertionError(f"the device is not {check.provider} everywhere, or int8 is loaded: {found}")
    return found


def classify(service: Service, jobs: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Send requests, CLIENTS of them at a time. jobs: path and picture of each. Returns their results in that order."""

    def send(part: list[int]) -> list[tuple[int, dict[str, Any]]]:
        connection, answers = HTTPConnection("127.0.0.1", service.port, timeout=60), []
        for n in part:
            path, body = jobs[n]
            connection.request("POST", path, body)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise AssertionError(f"{path}: {response.status} {text[:500]!r}")
            answers.append((n, json.loads(text)["results"][0]))
        connection.close()
        return answers

    parts = [list(range(k, len(jobs), CLIENTS)) for k in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = dict(pair for part in pool.map(send, parts) for pair in part)
    return [answers[n] for n in range(len(jobs))]


def read_pictures(folder: Path, most: int | None) -> list[bytes]:
    return [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()][:most]


def answers(check: Check, service: Service, strict: bool, most: int | None = None) -> dict[str, Any]:
    """Compare the most probable labels with those of a CPU, for every picture and instance in expected.json.

    In a near tie, where the CPU's two largest logits are less than ACCEPTED_LOGIT apart, either label is right.
    strict: raise AssertionError if a label differs. most: number of pictures; None for all.
    """
    expected = json.loads((check.files / "expected.json").read_text())
    found: dict[str, Any] = {}
    for key, on_cpu in expected.items():
        if check.left < LEAST_S:
            raise TimeoutError(f"only {list(found)} were compared: {json.dumps(found)}")
        family, instance = key.split("/")
        pictures = read_pictures(check.files / "pictures" / on_cpu["pictures"], most)
        path = f"/classify?model={family}&instance={instance}&top=2"
        started = time.monotonic()
        got = classify(service, [(path, picture) for picture in pictures])
        took, differ, near_ties, largest = time.monotonic() - started, 0, 0, 0.0
        for answer, cpu in zip(got, on_cpu["answers"], strict=False):
            first, second = answer["predictions"]
            same = first["index"] == cpu["index"]
            # Probabilities are softmax(z / T), so T times the log of their ratio is the difference of two logits z.
            margin = on_cpu["temperature"] * math.log(max(1e-30, cpu["probability"]) / max(1e-30, cpu["second"]))
            if same:
                own = on_cpu["temperature"] * math.log(
                    max(1e-30, first["probability"]) / max(1e-30, second["probability"])
                )
                if second["index"] == cpu["secondIndex"]:
                    largest = max(largest, abs(own - margin))
            elif margin >= ACCEPTED_LOGIT:
                differ += 1
            else:
                near_ties += 1
        batches = [answer["batchSize"] for answer in got]
        found[key] = {
            "n": len(got),
            "differ": differ,
            "nearTies": near_ties,
            "largestMarginDifference": largest,
            "perS": round(len(got) / took, 1),
            "meanBatch": round(statistics.mean(batches), 1),
            "largestBatch": max(batches),
        }
    if strict and any(f["differ"] for f in found.values()):
        raise AssertionError(json.dumps(found))
    return found


def throughput(check: Check, service: Service, seconds: int) -> dict[str, Any]:
    """Pictures a second over HTTP, in a closed loop of autocannon.

    Measured are the cheapest and the most expensive served instance of each family.
    """
    found = {}
    for model in json.loads(service.get("/models"))["models"]:
        picture = sorted(
            p
            for p in (check.files / "pictures" / ("photos" if model["input"]["width"] > 64 else "cifar")).rglob("*")
            if p.is_file()
        )[0]
        served = [i for i in model["instances"] if i["served"]]
        for instance in {served[0]["id"], served[-1]["id"]}:
            url = f"http://127.0.0.1:{service.port}/classify?model={model['name']}&instance={instance}&top=1"
            words = [check.files / "tools", picture, url, 2 * CLIENTS, seconds]
            command = [check.node, str(HERE / "load.mjs"), *map(str, words)]
            before = batch_sums(service)
            text = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60).stdout
            measured, after = json.loads(text.splitlines()[-1]), batch_sums(service)
            sizes, count = (b - a for a, b in zip(before, after, strict=True))
            found[f"{model['name']}/{instance}"] = {
                "perS": measured["requests"]["average"],
                "sd": measured["requests"]["stddev"],
                "p50Ms": measured["latency"]["p50"],
                "p99Ms": measured["latency"]["p99"],
                "notOk": measured["non2xx"] + measured["errors"],
                "meanBatch": round(sizes / max(1, count), 1),
                "deviceMib": device_mib(),
            }
    if any(f["notOk"] for f in found.values()):
        raise AssertionError(f"not all requests were answered: {json.dumps(found)}")
    return found


def batch_sums(service: Service) -> list[float]:
    """Of all pictures so far: the sum of the sizes of their batches, and their number."""
    metrics = service.get("/metrics")
    return [
        sum(map(float, re.findall(rf"^dimmer_batch_size_pictures_{part}{{.*}} (\S+)", metrics, re.M)))
        for part in ("sum", "count")
    ]


def run(check: Check) -> None:
    cuda = check.provider == "cuda"
    # With TF32 differences are only counted, for which a quarter of the pictures is enough.
    most = {"exact": None, "default": 500} if cuda else {"exact": 16, "default": 16}
    check.step("facts", lambda: facts(check))
    check.step("withoutDevice", lambda: without_device(check))
    timed = ["full", "p02-r500", "p01-r500", "lite0-p01-r677"] if cuda else ["full"]
    exact = check.step("graphsFloat32", lambda: graphs(check, False, [], min(120, check.left / 4)), needs=LEAST_S)
    if exact and (exact["errors"] or (exact["largestDifference"] or 0) > ACCEPTED_LOGIT or (cuda and exact["onCpu"])):
        check.failed.append("graphsFloat32: errors, logits or nodes")
    seconds = min(120, check.left / 3)
    check.step("graphsTf32", lambda: graphs(check, True, timed, seconds), needs=60 if cuda else LEAST_S)
    with tempfile.TemporaryDirectory() as folder:
        # First an empty cache and the default settings, so with TF32. Then the cache of that start, and TF32 off.
        for name, more in (("default", {}), ("exact", {"NVIDIA_TF32_OVERRIDE": "0"})):
            service = check.step(
                f"start-{name}", lambda n=name, m=more: Service(check, n, Path(folder, "cache"), **m), needs=LEAST_S
            )
            if not isinstance(service, Service):
                continue
            with service:
                check.step(f"device-{name}", lambda s=service: device(check, s))
                check.step(
                    f"answers-{name}", lambda s=service, n=name: answers(check, s, n == "exact", most[n]), needs=LEAST_S
                )
                if name == "default":
                    check.step(
                        "throughput", lambda s=service: throughput(check, s, 6 if cuda else 1), needs=60 if cuda else 10
                    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, help="the folder that prepare.py has filled")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument(
        "--seconds", type=float, default=420, help="time for all steps; a step that has too little left is not begun"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    check = Check(args.files.resolve(), args.out.resolve(), args.provider, args.seconds)
    run(check)
    print(f"{time.monotonic() - check.began:.0f} s; failed: {check.failed or 'nothing'}")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
