"""A run folder: the configuration, what made it, and a log of JSON lines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import yaml
from tqdm import tqdm

from sdpoint.config import Config

Item = TypeVar("Item")


class RunError(ValueError):
    """A run folder that lacks what is asked of it; the message says what to do first."""


def device_name(device: torch.device) -> str:
    """What it says of itself: `NVIDIA H100 80GB HBM3`, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, "machine": platform.machine()}


def commit() -> str:
    """The commit of this source, with `-dirty` if the tree differs from it; `unknown` outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12", "--match="]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


class Run:
    """`<folder>/config.yaml`, `log.jsonl`, `checkpoint.pt`, `calibrated.pt`, `evaluation-<part>.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @classmethod
    def existing(cls, folder: Path) -> Run:
        """Raises RunError where there is none, rather than make an empty one."""
        if not folder.is_dir():
            raise RunError(f"{folder} is not a folder; expected one that `sdpoint train --run` made")
        return cls(folder)

    def save_config(self, config: Config) -> None:
        plain = json.loads(json.dumps(config.as_dict()))  # tuples to lists
        (self.folder / "config.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))

    def log(self, kind: str, **values: Any) -> None:
        """Append one record; the time is in seconds since the epoch."""
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps({"kind": kind, "time": round(time.time(), 1), **values}) + "\n")

    def records(self, kind: str) -> list[dict[str, Any]]:
        path = self.folder / "log.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [record for record in map(json.loads, lines) if record["kind"] == kind]

    def trained(self, key: str, otherwise: str) -> str:
        """What the starts of training said of `commit` or `device`, each value once, the oldest first."""
        values = (start.get(key, otherwise) for start in self.records("start"))
        return ", ".join(dict.fromkeys(values)) or otherwise


def write_atomically(path: Path, write) -> None:
    """write(temporary path), then rename, so that a stop half-way never leaves a broken file."""
    temporary = path.with_suffix(path.suffix + ".part")
    write(temporary)
    os.replace(temporary, path)


def say(text: str) -> None:
    """Of several processes that torchrun started, the leading one speaks."""
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr, flush=True)


def progress(items: Sequence[Item], title: str) -> Iterator[Item]:
    """Go through `items`: a bar on a terminal, elsewhere a plain line every ten seconds and at the end."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=title)
        return
    began = said = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if done == len(items) or now - said > 10:
            said = now
            say(f"{title}: {done}/{len(items)}, {now - began:.0f} s")
