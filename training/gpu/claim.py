"""Trains the runs of a list on a GPU machine that is lent for minutes. README.md beside this file has the whole order.

    python3 training/gpu/claim.py size LIST          print the size of what is returned, and the expected time
    python3 training/gpu/claim.py train LIST --data D --work W --seconds S --device cuda    train for at most S seconds
    python3 training/gpu/claim.py give LIST --work W --system plain --out FOLDER    write a run to small files
    python3 training/gpu/claim.py take --work W --from FOLDER                       restore a run from such files

LIST is a file of training/configs/sweeps, such as cifar10-large.yaml. Its runs train at the same time, each in a
process of its own, because a step of a small network mostly waits for kernel launches. The first `train` times some
steps, and fixes the number of epochs for all runs alike in W/plan.json.

Imports only modules of sdpoint that its sweeps need: packages for the export may be missing on such a machine.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from sdpoint.data import load_training
from sdpoint.distributed import joined
from sdpoint.run import Run, write_atomically
from sdpoint.state import UnderWay
from sdpoint.sweep import Experiment, Places, finished, load_sweep, placed, run_sweep
from sdpoint.systems import build_system
from sdpoint.systems.base import PASSES
from sdpoint.train import Training

MIB = 1024 * 1024
PICTURES = 45_000  # training pictures of CIFAR: 50,000 less the held-out ones
PART_MIB = 15  # largest file that is returned; the machine copies back at most 16 MiB
BACK_MIB = 64  # all files that one call copies back, together
# Steps that are timed, and steps before them: each of the thirteen instances of SDPoint has a slow first step.
TIMED, UNTIMED = 20, 30
RESERVE_S = 60  # for reading the pictures, calibration, and measuring the held-out and the test part
LEAST_SHARE = 0.5  # fewer of the listed epochs would be another experiment; then all are trained, on several days
GPU_FLOPS = 250e12  # assumed FLOPs a second of bfloat16 convolutions on an H200: a third of its matrix products
LAUNCH_S = 0.012  # kernel launches of a step, of any width: WRN-16-2 took 4.3 s for 351 steps on an H200


def chosen(path: Path, epochs: int | None = None, only: str | None = None) -> list[Experiment]:
    """Read the runs of the list. epochs: instead of the listed number; only: name of one system."""
    found = [e for e in load_sweep(path) if only in (None, e.system)]
    if not found:
        raise SystemExit(f"{path} has no run {only}")
    return [replace(e, config=replace(e.config, train=replace(e.config.train, epochs=epochs or e.config.train.epochs)))
            for e in found]  # fmt: skip


def size(path: Path, seconds: float) -> None:
    """Print the size of each checkpoint and the expected time, without training.

    Raises SystemExit if a checkpoint is too large to be copied back. seconds: what `train` may take.
    """
    for e in chosen(path):
        system = build_system(e.config, 10)
        values = sum(p.numel() for p in system.build().parameters())
        state = values * (4 + 2)  # bytes: weights in float32, momentum in bfloat16
        steps = PICTURES // e.config.train.batch
        computed = PASSES * system.plain_flops * e.config.train.batch / GPU_FLOPS
        epoch = steps * max(LAUNCH_S, computed)
        print(
            f"{e.name}: {values:,} parameters; checkpoint {state / MIB:.1f} MiB in "
            f"{-(-state // (PART_MIB * MIB))} files, at most {BACK_MIB} MiB are copied back; expected: "
            f"{e.config.train.epochs} epochs of {epoch:.1f} s, {epoch * e.config.train.epochs:.0f} s of the "
            f"{seconds:.0f} s of a call, if a step takes {1000 * epoch / steps:.0f} ms (the longer of launches, "
            f"{1000 * LAUNCH_S:.0f} ms, and arithmetic, {1000 * computed:.0f} ms)"
        )
        if state > (BACK_MIB - 1) * MIB:
            raise SystemExit("the checkpoint is too large to be copied back in one call: choose a smaller network")


def epoch_seconds(experiment: Experiment, data: Path) -> float:
    """Expected duration of an epoch: its number of steps times the mean of TIMED steps, after UNTIMED others."""
    config = experiment.config
    part, _ = load_training(data, config.data)
    with joined(config.train.device, config.train.batch) as processes:
        training = Training(config, part, processes)
        training.state.model.train()
        done, began = 0, 0.0
        while True:
            training.state.under_way = UnderWay(training.state.generator.get_state())
            for batch in training.loader.batches(training.state):
                if done == UNTIMED:
                    _wait_for(processes.device)
                    began = time.perf_counter()
                training.step(batch, rate=1e-4)
                training.state.generator.set_state(batch.chance)
                done += 1
                if done == UNTIMED + TIMED:
                    _wait_for(processes.device)
                    return training.loader.steps * (time.perf_counter() - began) / TIMED


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def train(args: argparse.Namespace) -> None:
    """Train all runs of the list for at most args.seconds; the first time, fix the number of epochs before."""
    began = time.monotonic()
    systems = [e.system for e in chosen(args.list)]
    plan = args.work / "plan.json"
    if not plan.exists():
        timed = _all(args, systems, "time", args.seconds)
        seconds = {s: json.loads(Path(args.work / f"{s}.time").read_text()) for s in systems}
        if any(timed.values()):
            raise SystemExit(f"timing failed: {timed}; see {args.work}/*.log")
        epochs = epochs_for(
            seconds, chosen(args.list)[0].config.train.epochs, args.seconds - (time.monotonic() - began) - RESERVE_S
        )
        plan.write_text(json.dumps({"epochs": epochs, "epochSeconds": seconds}))
    print(f"plan: {plan.read_text()}", flush=True)
    ended = _all(args, systems, "one", args.seconds - (time.monotonic() - began))
    for e in chosen(args.list, _planned(args.work)):
        done = finished(e, args.work / "results", "test")
        log = Run(args.work / "runs" / e.sweep / e.name).records("epoch")
        status = "finished" if done else f"epoch {log[-1]['epoch'] if log else 0} of {e.config.train.epochs}"
        print(f"{e.name}: {status}, exit status {ended[e.system]}")


def epochs_for(epoch: dict[str, float], listed: int, seconds: float) -> int:
    """Number of epochs for all runs: as many as the slowest run can do in `seconds`, at most the listed number.

    The listed number if fewer than LEAST_SHARE of it would fit. epoch: seconds of an epoch, by system.
    """
    fit = int(seconds / (1.1 * max(epoch.values())))  # a tenth more, for checkpoints
    return min(listed, fit) if fit >= LEAST_SHARE * listed else listed


def _planned(work: Path) -> int:
    return json.loads((work / "plan.json").read_text())["epochs"]


def _all(args: argparse.Namespace, systems: Sequence[str], command: str, seconds: float) -> dict[str, int | None]:
    """Run this script once for each system, all at the same time, and kill them after `seconds`.

    command: `time` or `one`. Returns the exit status by system; None for a process that was killed.
    """
    args.work.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, __file__, command, str(args.list), "--work", str(args.work), "--data", str(args.data)]
    words += ["--device", args.device]
    processes = {}
    for system in systems:
        with (args.work / f"{system}.log").open("a") as log:
            processes[system] = subprocess.Popen(
                [*words, "--system", system], stdout=log, stderr=log, start_new_session=True
            )
    end = time.monotonic() + seconds
    while any(p.poll() is None for p in processes.values()) and time.monotonic() < end:
        time.sleep(0.2)
    status = {system: p.poll() for system, p in processes.items()}
    for system, process in processes.items():
        if status[system] is None:  # its checkpoint of the last epoch stays
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return status


def one(args: argparse.Namespace) -> None:
    """Train one run to the planned number of epochs and measure it, in a process that `train` has started."""
    places = Places(args.data, args.work / "runs", args.work / "results")
    experiments = chosen(args.list, _planned(args.work), args.system)
    for part in ("held-out", "test"):
        if diverged := run_sweep(experiments, places, part, threads=2, device=args.device):
            raise SystemExit(f"diverged: {diverged}")


def give(args: argparse.Namespace) -> None:
    """Write a run to files that are small enough to be copied back: texts, and the network or the checkpoint."""
    [e] = chosen(args.list, _planned(args.work), args.system)
    folder = args.work / "runs" / e.sweep / e.name
    files = {
        "plan.json": args.work / "plan.json",
        "log.jsonl": folder / "log.jsonl",
        "config.yaml": folder / "config.yaml",
    }
    result = args.work / "results" / e.sweep / f"{e.name}.json"
    done = finished(e, args.work / "results", "test")
    state = folder / ("calibrated.pt" if done else "checkpoint.pt")
    content = torch.load(state, weights_only=True, map_location="cpu")
    write(args.out, e, {**files, **({"result.json": result} if result.exists() else {})}, state.name, content)


def write(out: Path, e: Experiment, files: dict[str, Path], name: str, content: dict[str, Any]) -> None:
    """Write texts.json and the state in parts. name: the state's file in the run folder; content: what it holds."""
    out.mkdir(parents=True, exist_ok=True)
    texts = {key: path.read_text() for key, path in files.items() if path.exists()}
    (out / "texts.json").write_text(json.dumps({"sweep": e.sweep, "name": e.name, "state": name, "texts": texts}))
    buffer = io.BytesIO()
    torch.save(smaller(content), buffer)
    write_parts(out, "state", buffer.getbuffer())
    check_size(out, e.name)


def write_parts(out: Path, name: str, data: bytes | memoryview) -> None:
    """Write data to the files `<name>.00`, `<name>.01`, ... in `out`, of at most PART_MIB MiB each."""
    most = round(PART_MIB * MIB)
    for n, at in enumerate(range(0, len(data), most)):
        (out / f"{name}.{n:02d}").write_bytes(data[at : at + most])


def read_parts(folder: Path, name: str) -> bytes:
    """What `write_parts` wrote; nothing if there are no such files."""
    return b"".join(part.read_bytes() for part in sorted(folder.glob(f"{name}.*")))


def check_size(out: Path, what: str) -> None:
    """Print the size of all files in `out`. Raises SystemExit if one call cannot copy them back."""
    total = sum(p.stat().st_size for p in out.iterdir())
    print(f"{what}: {total / MIB:.1f} MiB in {len(list(out.iterdir()))} files of at most {PART_MIB} MiB in {out}")
    if total > BACK_MIB * MIB:
        raise SystemExit(f"more than the {BACK_MIB} MiB that one call copies back")


def smaller(content: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint with momentum in bfloat16. Momentum averages noisy gradients, so the lost digits matter little."""
    return _with_momenta(content, torch.bfloat16)


def _with_momenta(content: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
    if "optimizer" not in content:
        return content
    state = {k: {n: v.to(dtype) if n == "momentum_buffer" and v is not None else v for n, v in own.items()}
             for k, own in content["optimizer"]["state"].items()}  # fmt: skip
    return {**content, "optimizer": {**content["optimizer"], "state": state}}


def take(work: Path, source: Path) -> None:
    """Restore the run that `give` has written to the folder `source`, so that `train` resumes it."""
    head = json.loads((source / "texts.json").read_text())
    folder = work / "runs" / head["sweep"] / head["name"]
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in head["texts"].items():
        path = {"plan.json": work / name, "result.json": work / "results" / head["sweep"] / f"{head['name']}.json"}.get(
            name, folder / name
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    data = read_parts(source, "state")
    content = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    write_atomically(folder / head["state"], lambda path: torch.save(_with_momenta(content, torch.float32), path))
    print(f"{head['name']}: restored, epoch {content['epoch']}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")

    def command(name: str, *options: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name)
        if name != "take":
            added.add_argument("list", type=Path)
        for option in options:
            kind = {"--seconds": float}.get(option, str if option in ("--system", "--device") else Path)
            dest = "source" if option == "--from" else option[2:]
            added.add_argument(option, type=kind, dest=dest, required=option not in ("--device", "--seconds"))
        added.set_defaults(device="cpu", seconds=540.0)
        return added

    command("size", "--seconds")
    command("train", "--data", "--work", "--seconds", "--device")
    command("give", "--work", "--system", "--out")
    command("take", "--work", "--from")
    for inner in ("time", "one"):  # started by `train`
        command(inner, "--data", "--work", "--device", "--system")
    args = parser.parse_args(argv)
    match args.command:
        case "size":
            size(args.list, args.seconds)
        case "train":
            train(args)
        case "give":
            give(args)
        case "take":
            take(args.work, args.source)
        case "one":
            one(args)
        case "time":
            [e] = [replace(e, config=placed(e.config, 2, args.device)) for e in chosen(args.list, only=args.system)]
            (args.work / f"{args.system}.time").write_text(json.dumps(epoch_seconds(e, args.data)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
