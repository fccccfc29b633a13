"""A run folder: the configuration of a training run, a log of JSON lines with commit and versions, and its results."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from tqdm import tqdm

from sdpoint.config import Config

Item = TypeVar("Item")

LINE_SECONDS = 10  # between two lines of progress


class RunError(ValueError):
    """A run folder lacks a file or record; the message says which command makes it."""


def device_name(device: torch.device) -> str:
    """Name of the device: `cpu`, or that of the GPU, such as `NVIDIA H100 80GB HBM3`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}


def commit() -> str:
    """Commit of the source code, with `-dirty` if there are uncommitted changes.

    Outside a repository, as on a machine that the source was copied to: the value of SDPOINT_COMMIT, or `unknown`.
    """
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("SDPOINT_COMMIT", "unknown")


class Run:
    """A run folder with `config.yaml`, `log.jsonl`, `checkpoint.pt`, `calibrated.pt` and `evaluation-<part>.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def existing(cls, folder: Path) -> Run:
        """Open an existing run folder. Raises RunError if there is none."""
        if not folder.is_dir():
            raise RunError(f"{folder} is not a folder; expected one that `sdpoint train --run` made")
        return cls(folder)

    def save_config(self, config: Config) -> None:
        plain = json.loads(json.dumps(config.as_dict()))  # tuples to lists
        (self.folder / "config.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))

    def log(self, kind: str, **values: Any) -> None:
        """Append a record to the log, with the time in seconds since 1970."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"kind": kind, "time": round(time.time(), 1), **values}) + "\n")

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All records of this kind, the oldest first."""
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [record for record in map(json.loads, lines) if record["kind"] == kind]

    def trained(self, key: str, otherwise: str) -> str:
        """All values of `commit` or `device` in the `start` records, each once, the oldest first.

        otherwise: the value for records without the key.
        """
        values = (start.get(key, otherwise) for start in self.records("start"))
        return ", ".join(dict.fromkeys(values)) or otherwise


def write_atomically(path: Path, write) -> None:
    """Call write(temporary path), then rename, so that an interruption never leaves an incomplete file."""
    temporary = path.with_suffix(path.suffix + ".part")
    write(temporary)
    os.replace(temporary, path)


def say(text: str) -> None:
    """Print to standard error; of several processes started by torchrun, only rank 0 prints."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr, flush=True)


def progress(items: Sequence[Item], title: str, cost: Callable[[Item], float] | None = None) -> Iterator[Item]:
    """Yield the items and show progress: a bar on a terminal, elsewhere a line every ten seconds and at the end.

    cost: of an item, in any unit, to estimate the time that is left; without it, all items cost the same, and they may
    be such that can be gone through only once.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, desc=title)
        return
    began = said = time.monotonic()
    spent, whole = 0.0, sum(map(cost, items)) if cost else len(items)
    for done, item in enumerate(items, start=1):
        yield item
        now, spent = time.monotonic(), spent + (cost(item) if cost else 1)
        if done == len(items):
            say(f"{title}: {done}/{done}, {now - began:.0f} s")
        elif now - said > LINE_SECONDS:
            said = now
            left = (now - began) * (whole - spent) / spent
            say(f"{title}: {done}/{len(items)}, {now - began:.0f} s, about {left:.0f} s left")
