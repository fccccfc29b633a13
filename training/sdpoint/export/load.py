"""Reads a family back into PyTorch, so that it can be trained further. Int8 instances are left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from sdpoint.checkpoint import Trained
from sdpoint.config import Config, parse_config
from sdpoint.export.family import verify_family
from sdpoint.models import build_model
from sdpoint.systems import build_system

STATISTICS = ("running_mean", "running_var")


def load_family(folder: Path) -> Trained:
    """The network of a family, and the statistics of every float32 instance. Raises ExportError, ConfigError.

    Of a family with several networks it is that of `full`. The configuration is that of the training, but names the
    instances of the family if those are only some of the trained ones.
    """
    manifest = verify_family(folder)
    origin, labels = manifest["provenance"], json.loads((folder / "labels.json").read_text())
    config = _of_instances(parse_config(origin["recipe"]), manifest)
    model = build_model(config.model, len(labels))
    names = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    shared = dict(model.named_parameters())
    statistics = {}
    full = _tensors(folder / "full.onnx", names)
    for instance in manifest["instances"]:
        if instance["precision"] == "float32" and "network" not in instance:
            own = _tensors(folder / instance["file"], names)
            statistics[instance["id"]] = {
                name: value for name, value in own.items() if name not in shared or not torch.equal(value, full[name])
            }
    model.load_state_dict(full, strict=False)
    seconds = 3600 * origin["hours"]
    return Trained(config, tuple(labels), model.eval(), config.train.epochs, seconds, statistics=statistics)


def _of_instances(config: Config, manifest: dict[str, Any]) -> Config:
    own = {i["id"] for i in manifest["instances"] if i["precision"] == "float32" and "network" not in i}
    trained = [i.id for i in build_system(config, manifest["classes"]).configurations]
    if own == set(trained):
        return config
    ids = tuple(id for id in trained if id in own)
    return replace(config, system=replace(config.system, instances=ids, sampling="uniform", weights=()))


def _tensors(path: Path, names: set[str]) -> dict[str, Tensor]:
    """The tensors of a graph that have these names; they are the names of the state dict."""
    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
        if tensor.name in names
    }
