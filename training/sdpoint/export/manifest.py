"""Writes and checks `manifest.json`, the description of a family that the service reads.

Its JSON Schema is generated from `src/family/manifest.ts`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema

from sdpoint.checkpoint import Trained
from sdpoint.export import ExportError
from sdpoint.export.about import About
from sdpoint.export.measure import Measured, compared_by, guessed
from sdpoint.export.runtime import DESCRIPTION
from sdpoint.flops import CONVENTION

FORMAT_VERSION = 2
FILE = "manifest.json"


@dataclass(frozen=True)
class Provenance:
    """Where a network comes from. device: it was trained on; versions: of the packages for training and export."""

    commit: str
    device: str
    seed: int
    hours: float
    versions: dict[str, str]
    recipe: dict[str, Any]


def hash_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in the folder except the manifest, by file name."""
    paths = sorted(path for path in folder.iterdir() if path.name != FILE)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def compose(
    name: str,
    trained: Trained,
    about: About,
    provenance: Provenance,
    measured: Sequence[Measured],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """The manifest as plain values. files: SHA-256 by file name."""
    data, by = trained.config.data, compared_by(measured)
    return {
        "formatVersion": FORMAT_VERSION,
        "name": name,
        "description": about.description,
        "architecture": trained.model.name,
        "input": {
            "height": data.size,
            "width": data.size,
            "resize": {"size": data.resize or data.size, "crop": data.size, "kernel": data.kernel, "alpha": "white"},
        },
        "classes": len(trained.classes),
        "flopsConvention": CONVENTION,
        "measuredOn": _measured_on(measured, about, data.name),
        "instances": [_instance(m, files, by[m.id]) for m in measured],
        "files": dict(files),
        "baseline": None,
        "provenance": {
            "commit": provenance.commit,
            "recipe": provenance.recipe,
            "seed": provenance.seed,
            "hours": provenance.hours,
            "versions": provenance.versions,
        },
        "license": about.license,
        "source": about.source,
    }


def _measured_on(measured: Sequence[Measured], about: About, name: str) -> dict[str, str]:
    if guessed(measured):
        scope = "no pictures: the weights are random, and the figures are those of a guess among the classes"
        return {"dataset": "none", "part": "none", "scope": scope, "runtime": "none"}
    return {
        "dataset": about.dataset or name,
        "part": "test",
        "scope": about.scope or f"all {measured[0].test.n} pictures",
        "runtime": runtime_of(measured),
    }


def runtime_of(measured: Sequence[Measured]) -> str:
    """Description of the runtime that measured accuracy: version, device, number types."""
    return DESCRIPTION + (" and int8" if any(m.precision == "int8" for m in measured) else "")


def _instance(measured: Measured, files: Mapping[str, str], accuracy: float) -> dict[str, Any]:
    instance, test = measured.instance, measured.test
    file = f"{measured.id}.onnx"
    return {
        "id": measured.id,
        "p": instance.p,
        "r": instance.r,
        "precision": measured.precision,
        **({"network": measured.network} if measured.network else {}),
        "file": file,
        "sha256": files[file],
        "flops": measured.flops,
        "macs": measured.flops // 2,
        "top1": test.top1,
        "top5": test.top5,
        "correct": test.correct,
        "n": test.n,
        "interval": [round(v, 4) for v in test.interval],
        **({} if accuracy == test.top1 else {"smoothed": accuracy}),
        "temperature": round(measured.temperature, 4),
    }


def validate(manifest: Any) -> None:
    """Check a manifest by the service's schema. Raises ExportError with the place and the reason."""
    schema = json.loads(resources.files("sdpoint").joinpath("manifest.schema.json").read_text())
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(manifest))
    if error:
        raise ExportError(f"manifest.json, {error.json_path}: {error.message}")
