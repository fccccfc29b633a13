"""The files of a run folder that hold a network: `checkpoint.pt`, and `calibrated.pt` with statistics."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sdpoint.calibrate import Statistics
from sdpoint.config import Config, parse_config
from sdpoint.run import Run, RunError, write_atomically
from sdpoint.systems import build_system
from sdpoint.systems.base import System


@dataclass(frozen=True)
class CrossValidated:
    """Figures of an instance by cross-validation: the temperature, and right answers among the first and first five."""

    temperature: float
    correct: int
    correct5: int
    n: int


@dataclass(frozen=True)
class Trained:
    """A trained network in eval mode.

    statistics: by configuration id, the tensors that it has of its own: batch-norm statistics, and for some networks
    scale and shift, or a classifier; empty before calibration. crossed: by configuration id, where no pictures were
    held out.
    """

    config: Config
    classes: tuple[str, ...]
    model: nn.Module
    epoch: int
    seconds: float  # spent on training, without evaluation on held-out pictures
    flops: int = 0  # spent on training, backward passes included; 0 in older checkpoints, which did not count them
    statistics: dict[str, Statistics] = field(default_factory=dict)
    crossed: dict[str, CrossValidated] = field(default_factory=dict)

    @cached_property
    def system(self) -> System:
        return build_system(self.config, len(self.classes))

    @property
    def instances(self) -> list[Any]:
        """The configurations of its system, `full` first; those of SDPoint are instances."""
        return self.system.configurations

    @property
    def digest(self) -> str:
        return weights_digest(self.model)


def weights_digest(model: nn.Module) -> str:
    """First 12 hex digits of the SHA-256 of all learned parameters; identifies the weights in logs and results."""
    content = hashlib.sha256()
    for parameter in model.parameters():
        content.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()[:12]


def load_trained(run: Run) -> Trained:
    """The network of `checkpoint.pt`. Raises RunError if that file is missing or cannot be read."""
    return _trained(_read(run.folder / "checkpoint.pt", "train first"))


def load_calibrated(run: Run) -> Trained:
    """The network and statistics of `calibrated.pt`.

    Raises RunError if the run was not calibrated, or was trained further after its calibration.
    """
    content = _read(run.folder / "calibrated.pt", "run `sdpoint calibrate` first")
    calibrated = _trained(content)
    if (run.folder / "checkpoint.pt").exists() and (now := load_trained(run)).digest != calibrated.digest:
        raise RunError(
            f"{run.folder}: calibrated after epoch {calibrated.epoch}, but the checkpoint is now at epoch "
            f"{now.epoch}; run `sdpoint calibrate` again"
        )
    return calibrated


def save_trained(run: Run, trained: Trained) -> Path:
    """Write `checkpoint.pt` without an optimizer's state, so that training cannot be resumed from it.

    Returns the path.
    """
    return _write(run.folder / "checkpoint.pt", trained)


def save_calibrated(run: Run, trained: Trained, statistics: dict[str, Statistics]) -> Path:
    """Write `calibrated.pt`. statistics: by configuration id. Returns the path."""
    crossed = {id: asdict(figures) for id, figures in trained.crossed.items()}
    return _write(run.folder / "calibrated.pt", trained, statistics=statistics, crossed=crossed)


def _write(path: Path, trained: Trained, **more: Any) -> Path:
    content = {
        "config": trained.config.as_dict(),
        "classes": trained.classes,
        "model": trained.model.state_dict(),
        "epoch": trained.epoch,
        "seconds": trained.seconds,
        "flops": trained.flops,
        **more,
    }
    write_atomically(path, lambda temporary: torch.save(content, temporary))
    return path


def _read(path: Path, otherwise: str) -> dict[str, Any]:
    if not path.exists():
        raise RunError(f"{path} does not exist; {otherwise}")
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # a broken pickle can raise anything
        raise RunError(f"{path} cannot be read: {error}") from error


def _trained(content: dict[str, Any]) -> Trained:
    config, classes = parse_config(content["config"]), tuple(content["classes"])
    model = build_system(config, len(classes)).build()
    model.load_state_dict(content.get("average") or content["model"])
    model.eval()
    flops, statistics = content.get("flops", 0), content.get("statistics", {})
    crossed = {id: CrossValidated(**figures) for id, figures in content.get("crossed", {}).items()}
    return Trained(config, classes, model, content["epoch"], content["seconds"], flops, statistics, crossed)
