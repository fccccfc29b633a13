"""Measures `sdpoint adapt --new-head` beside the simplest thing: logistic regression on frozen features.

    pip install scikit-learn==1.9.1
    python bench/new_head.py ../models/imagenet1k DATA... --out results/new-head.json

DATA are image folders, {train,test}/<class>/<pictures>. For each of them the commands of the tutorial are run as a user
runs them, and their time and memory are measured. Then, for each instance, scikit-learn's logistic regression, with its
default settings, is fitted on the same training pictures (with the held-out ones), as the instance of the original
family sees them: on the inputs of its classifier. Both are measured on the same test pictures.

The sets of results/new-head.json, in the order of the names of their files:

- flowers: of each of five classes the first 60 in flower_photos-resised_train, and the first 60 in
  flower_photos-resised_test (github.com/RlNZLER/Image-Text-Matching at 5651b89b).
- caltech-ten: the first 30 pictures, and the next 30, of buddha, butterfly, chandelier, dolphin, ewer, joshua_tree,
  kangaroo, ketch, lotus and schooner of Caltech-101 (github.com/taibarehm/CVassimgement).
- cifar10-enlarged: of each class of CIFAR-10 the first 30 in the training and in the test part; 32 pixels, enlarged.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import sklearn
import torch
from sklearn.linear_model import LogisticRegression

from sdpoint.adapt.effect import counted
from sdpoint.adapt.features import compute_features
from sdpoint.checkpoint import Trained
from sdpoint.data import load_split
from sdpoint.export.load import load_family
from sdpoint.run import commit, versions, write_atomically

ITERATIONS = 5_000  # of scikit-learn's solver, more than it needs
POLL_S = 1  # between two looks at the memory, which take time themselves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    source = load_family(args.family)
    result = {
        "bench": "new-head",
        "command": f"python bench/new_head.py {args.family.name} {' '.join(data.name for data in args.data)}",
        "commit": commit(),
        "versions": {**versions(), "scikit-learn": sklearn.__version__},
        "family": args.family.name,
        "sets": [],
    }
    for data in args.data:
        result["sets"].append(measured(source, args.family, data))
        text = json.dumps(result, indent=1) + "\n"
        write_atomically(args.out, lambda temporary, text=text: temporary.write_text(text))


def measured(source: Trained, family: Path, data: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run, out = work / "run", work / "models" / "taught"
        commands = {
            "adapt": ["--new-head", family, "--data", data, "--run", run],
            "evaluate": ["--data", data, "--run", run],
            "export": ["--data", data, "--run", run, "--out", out],
        }
        spent = {name: timed([sys.executable, "-m", "sdpoint.cli", name, *words]) for name, words in commands.items()}
        manifest, errors = (json.loads(p.read_text()) for p in (out / "manifest.json", run / "calibration-error.json"))
        regression = regressions(source, data, work)
    full = next(i["flops"] for i in manifest["instances"] if i["id"] == "full")
    ece = {row["id"]: row["errorWith"] for row in errors["instances"]}
    rows = [
        {
            "id": i["id"],
            "share": round(i["flops"] / full, 4),
            "regression": regression[i["id"]],
            "newHead": counted(i["correct"], i["n"]),
            "temperature": i["temperature"],
            "calibrationError": round(ece[i["id"]], 4),
        }
        for i in sorted(manifest["instances"], key=lambda i: i["flops"])
    ]
    pictures = {part: sum(1 for _ in (data / part).glob("*/*")) for part in ("train", "test")}
    return {"data": data.name, "classes": manifest["classes"], "pictures": pictures, "spent": spent, "instances": rows}


def regressions(source: Trained, data: Path, work: Path) -> dict[str, dict[str, Any]]:
    """Right answers of logistic regression on the test part, by instance id."""
    rule = replace(source.config.data, loading="stream")
    train, test = (load_split(data, part, rule) for part in ("train", "test"))
    seen, unseen = (compute_features(source, split, data, rule, work / "features") for split in (train, test))

    def one(id: str) -> dict[str, Any]:
        fitted = LogisticRegression(max_iter=ITERATIONS).fit(seen.of(id).numpy(), train.labels.numpy())
        answers = torch.from_numpy(fitted.predict(unseen.of(id).numpy()))
        return counted(int((answers == test.labels).sum()), len(test))

    return {instance.id: one(instance.id) for instance in source.instances}


def timed(command: list[Any]) -> dict[str, float]:
    """Run a command. Returns seconds of wall time and of CPU time, and the peak of the memory of all its processes.

    The memory is the proportional set size (PSS), which counts pages that processes share once. Raises
    CalledProcessError.
    """
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen([str(word) for word in command])
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(POLL_S):
            peak = max(peak, sum(map(memory, family_of(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)  # with its own children, which it has waited for
    process.returncode = os.waitstatus_to_exitcode(status)
    ended.set()
    watcher.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    seconds = {"wall": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime}
    return {**{name: round(value, 1) for name, value in seconds.items()}, "peakMB": round(peak / 1000)}


def family_of(pid: int) -> list[int]:
    """The process and all its descendants."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [pid, *(each for child in children for each in family_of(child))]


def memory(pid: int) -> int:
    """PSS of a process in kB; 0 if it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
