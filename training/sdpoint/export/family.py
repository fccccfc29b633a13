"""Exports a family, step by step: graphs, comparison with PyTorch, measurement, metadata, final check, publication."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from sdpoint.checkpoint import Trained
from sdpoint.data import Split
from sdpoint.export import ExportError
from sdpoint.export import manifest as manifests
from sdpoint.export.about import LICENSE, About
from sdpoint.export.card import write_card
from sdpoint.export.graph import build_graph
from sdpoint.export.manifest import Provenance
from sdpoint.export.measure import (
    GOLDEN_CASES,
    TOLERANCE,
    Measured,
    check_parity,
    golden_images,
    guess,
    id_of,
    measure,
    torch_logits,
)
from sdpoint.export.nodes import Graph
from sdpoint.export.quantise import quantise
from sdpoint.export.runtime import open_session, run_session
from sdpoint.export.weights import write_graphs
from sdpoint.instance import Instance
from sdpoint.run import Run, progress, say

CALIBRATION = "calibration-error.json"  # in the run folder
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True)
class Sources:
    """The inputs of an export. open_test: reads the test part; called once, after all checks that can fail.

    open_test is None for random weights: nothing is measured, and the accuracy is that of a guess.
    """

    trained: Trained
    run: Run
    about: About
    license_text: str
    held_out: Split
    open_test: Callable[[], Split] | None
    labels: tuple[str, ...] = ()  # readable names of the classes; empty: the names of their folders
    ranges: Tensor | None = None  # pictures [n, h, w, 3] uint8 for the ranges of int8 maps; None: no int8 twins


def export_family(sources: Sources, out: Path, replace: bool = False) -> Path:
    """Write a family to the folder `out`; the folder's name is the family's name. Returns its absolute path.

    The folder appears only when it is complete and checked. Raises ExportError, or FileExistsError if `out` exists and
    `replace` is off.
    """
    _refuse_early(sources)
    return publish(out, replace, lambda folder, name: _write(sources, name, folder))


def publish(out: Path, replace: bool, write: Callable[[Path, str], None]) -> Path:
    """Let `write` write a family into a new folder, check it, and rename that to `out`. Returns its absolute path.

    write: gets the folder and the name of the family, which is that of `out`.

    Raises what `refuse_place` and `verify_family` raise; then nothing of the family is left.
    """
    out = out.absolute()
    refuse_place(out, replace)
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    folder.mkdir()
    try:
        write(folder, out.name)
        verify_family(folder)
        _move(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return out


def refuse_place(out: Path, replace: bool) -> None:
    """Check the path for a family.

    Raises ExportError if the name is invalid or another folder would be replaced, FileExistsError if there is a family
    and `replace` is off.
    """
    if not NAME.fullmatch(out.name):
        raise ExportError(f"{out.name!r} cannot name a family; expected lower-case letters, digits and hyphens")
    if out.exists() and not replace:
        raise FileExistsError(f"{out} exists; pass --replace, or choose another name")
    if out.exists() and not (out / manifests.FILE).exists():
        raise ExportError(f"{out} holds no {manifests.FILE}: it is no family, and is not replaced")


def _refuse_early(sources: Sources) -> None:
    if not all(isinstance(configuration, Instance) for configuration in sources.trained.instances):
        raise ExportError(f"the service runs instances of a network; {sources.trained.config.system.name} has others")
    if not len(sources.held_out) and not sources.trained.crossed:
        raise ExportError("no pictures were held out (data.held_out is 0); temperatures cannot be fitted")


def _write(sources: Sources, name: str, folder: Path) -> None:
    trained, data = sources.trained, sources.trained.config.data
    graphs = build_graphs(trained)
    if sources.ranges is not None:
        graphs |= {
            id_of(i, "int8"): quantise(graphs[i.id], data.size, len(trained.classes), sources.ranges)
            for i in progress(trained.instances, "quantise")
        }
    parameters = {parameter for parameter, _ in trained.model.named_parameters()}
    write_graphs(graphs, parameters, data.size, len(trained.classes), folder)
    check_parity(folder, trained, sources.held_out.images)
    if sources.open_test:
        measured = measure(folder, trained, sources.held_out, sources.open_test, twins=sources.ranges is not None)
        write_json(sources.run.folder / CALIBRATION, calibration(measured), indent=2)
    else:
        measured = guess(trained)
    write_json(folder / "labels.json", list(sources.labels or trained.classes))
    write_json(folder / "golden.json", golden(trained))
    (folder / LICENSE).write_text(sources.license_text)
    origin = provenance(trained, sources.run)
    write_card(folder, name, trained, sources.about, origin, measured, sources.run)
    files = manifests.hash_files(folder)
    manifest = manifests.compose(name, trained, sources.about, origin, measured, files)
    write_json(folder / manifests.FILE, manifest, indent=2)
    say(f"{len(measured)} instances, {sum(path.stat().st_size for path in folder.iterdir()) / 1e6:.2f} MB")


def build_graphs(
    trained: Trained, only: Sequence[Instance] | None = None, given: int | None = None
) -> dict[str, Graph]:
    """The float32 graph of each instance, by id. Shared parameters are held in memory once for all graphs.

    only: instances to build; None: all; given: size of the pictures, as for `build_graph`.
    """
    graphs: dict[str, Graph] = {}
    shared: dict[str, np.ndarray] = {}
    for instance in trained.instances if only is None else only:
        own = trained.statistics[instance.id]
        graph = build_graph(trained.model, own, instance, trained.config.data, given)
        for name, _ in trained.model.named_parameters():
            if name not in own:  # distilled instances have their own scale and shift
                graph.tensors[name] = shared.setdefault(name, graph.tensors[name])
        graphs[instance.id] = graph
    return graphs


def calibration(measured: Sequence[Measured]) -> dict[str, Any]:
    """Expected calibration errors on the test part, for a file in the run folder; the manifest does not have them."""
    rows = [
        {"id": m.id, "temperature": m.temperature, "errorWithout": m.errors[0], "errorWith": m.errors[1]}
        for m in measured
    ]
    return {"part": "test", "bins": 15, "n": measured[0].test.n, "instances": rows}


def golden(trained: Trained) -> dict[str, Any]:
    """Content of golden.json: PyTorch's logits of generated pictures, with which any runtime can be checked."""
    return {"tolerance": TOLERANCE, "cases": golden_cases(trained, trained.config.data.size, trained.instances)}


def golden_cases(trained: Trained, size: int, instances: Sequence[Instance], network: str = "") -> list[dict[str, Any]]:
    """size: of the generated pictures; network: of a family with several."""
    images = golden_images(GOLDEN_CASES, size)
    return [
        {"instance": id_of(instance, network=network), "k": k, "logits": [round(v, 6) for v in logits.tolist()]}
        for instance in instances
        for k, logits in enumerate(torch_logits(trained, instance, images))
    ]


def provenance(trained: Trained, run: Run) -> Provenance:
    """Where the network comes from, by checkpoint and log; with all commits that trained it, the oldest first."""
    starts = run.records("start")
    recipe = json.loads(json.dumps(trained.config.as_dict()))  # tuples to lists
    if not trained.epoch:
        recipe["train"] = {"seed": trained.config.train.seed}  # the other settings were not used
    exporters = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    return Provenance(
        commit=run.trained("commit", "unknown"),
        device=run.trained("device", "cpu"),
        seed=trained.config.train.seed,
        hours=round(trained.seconds / 3600, 2),
        versions=(starts[-1]["versions"] if starts else {}) | exporters,
        recipe=recipe,
    )


def verify_family(folder: Path) -> dict[str, Any]:
    """Check a family as the service and its tests do: schema, hashes, every graph, golden logits. Returns the manifest.

    Raises ExportError if a check fails.
    """
    manifest, labels, expected = (
        json.loads((folder / name).read_text()) for name in (manifests.FILE, "labels.json", "golden.json")
    )
    manifests.validate(manifest)
    if manifest["files"] != manifests.hash_files(folder):
        raise ExportError(f"{folder}: its files are not those of its manifest")
    if len(labels) != manifest["classes"]:
        raise ExportError(f"{folder}: {len(labels)} labels for {manifest['classes']} classes")
    images = golden_images(GOLDEN_CASES, manifest["input"]["height"])
    for instance in manifest["instances"]:
        logits = run_session(open_session(folder / instance["file"]), images)
        if instance["precision"] == "int8":  # int8 logits depend on the processor, so golden.json has none
            if not logits.isfinite().all():
                raise ExportError(f"{folder}: {instance['id']} gives logits that are no numbers")
            continue
        cases = {case["k"]: case["logits"] for case in expected["cases"] if case["instance"] == instance["id"]}
        difference = (logits - torch.tensor([cases[k] for k in range(GOLDEN_CASES)])).abs().max().item()
        if not difference <= expected["tolerance"]:
            raise ExportError(f"{folder}: {instance['id']} differs from golden.json by {difference:.2g}")
    return manifest


def _move(folder: Path, out: Path) -> None:
    """Rename the folder to its final name, so that no reader ever sees an incomplete family."""
    if out.exists():
        old = folder.with_suffix(".old")
        out.rename(old)
        folder.rename(out)
        shutil.rmtree(old)
    else:
        folder.rename(out)


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False) + "\n")
