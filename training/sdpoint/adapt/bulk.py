"""Adapts a trained network on many pictures, step by step: gather the pictures, distil, measure, save.

The result is a run folder as training leaves it. No labels are needed: instances are trained to answer as the original
network does. A call that was killed goes on where it was.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdpoint.adapt.adapter import Adapter
from sdpoint.adapt.crops import Crops, Policy
from sdpoint.adapt.distil import Distillation, distil_all
from sdpoint.adapt.exam import Exam, Row, kept, logits_at
from sdpoint.adapt.gather import gather, some
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.settings import Distil
from sdpoint.adapt.statistics import trained_statistics
from sdpoint.adapt.store import Pool, Store
from sdpoint.adapt.story import EFFECT
from sdpoint.adapt.student import Student
from sdpoint.adapt.teacher import Answers, Teacher
from sdpoint.calibrate import Statistics
from sdpoint.checkpoint import Trained, save_calibrated, save_trained, weights_digest
from sdpoint.config import Config
from sdpoint.data import DataError, Split
from sdpoint.distributed import device_of
from sdpoint.flops import network_flops
from sdpoint.instance import FULL, Instance
from sdpoint.models import Network
from sdpoint.run import Run, commit, device_name, say, versions, write_atomically
from sdpoint.stream import PictureFiles
from sdpoint.systems import build_system

NAMED = 10  # broken pictures whose names are printed; all are in the log


@dataclass(frozen=True)
class BulkRequest:
    """What to adapt. folders: with pictures, the first one that of the later export; cache: folder for what can be used
    again by other runs: decoded pictures, the teacher's answers."""

    adapter: Adapter
    distil: Distil
    folders: Sequence[Path]
    cache: Path
    without: Sequence[str] = ()  # patterns of paths below the folders
    weights: Path | None = None  # file with a state dict, in place of the adapter's
    labelled: Split | None = None  # pictures to measure top-1 on; not trained on
    pause: Pause = field(default_factory=Pause)


@dataclass(frozen=True)
class Pictures:
    """learned: to learn from; held_out: not learned from; broken: by path, why it cannot be read."""

    learned: Pool
    held_out: Pool
    broken: dict[str, str]


def adapt_in_bulk(request: BulkRequest, run: Run) -> Trained:
    """Adapt a network; writes `effect.json`, `calibrated.pt` and `checkpoint.pt` to the run folder.

    Raises ConfigError, DataError, RunError if the folder holds another distillation, or FileExistsError if the run is
    finished.
    """
    if (run.folder / "checkpoint.pt").exists():
        raise FileExistsError(f"{run.folder} holds a run; choose another folder")
    config, distil = request.adapter.config, request.distil
    torch.set_num_threads(config.train.threads)
    device = device_of(config.train.device)
    original = request.adapter.load(request.weights).to(device)
    instances = build_system(config, original.classes).configurations
    pictures = _read(request)
    work = Distillation(
        Student(original, instances, distil), Crops(pictures.learned, Policy.of(config, distil)), config, distil
    )
    run.save_config(config)
    how = {"precision": work.precision, "device": device_name(device), "weights": str(request.weights or "")}
    counts = {
        "pictures": len(set(pictures.learned.files)),  # without repetitions
        "heldOut": len(pictures.held_out),
        "broken": len(pictures.broken),
    }
    run.log("start", commit=commit(), versions=versions(), **counts, distil=asdict(distil), **how)
    say(f"{original.name}: {len(instances)} instances; {counts['pictures']} pictures, {counts['heldOut']} held out")
    if pictures.broken:
        run.log("broken", files=pictures.broken)
    asked = _asked(config, distil, original, pictures.learned)
    answers = _answers(request, work, asked)
    exam = _exam(request, original, pictures.held_out, work.precision)

    def look(values: dict[str, Tensor]) -> dict[str, Any]:
        rows = exam.first(distil.look).rows(*_result(work.student, values))
        return {id: {"agreement": r["agreement"]["share"], "divergence": r["divergence"]} for id, r in rows.items()}

    distil_all(work, answers, Teacher(original, config, distil), run, asked, request.pause, look)
    model, _, statistics = result = _result(work.student, work.values)
    before, after = _inserted(request, exam, original, instances), exam.rows(*result)
    effect = {
        "network": original.name,
        "commit": commit(),
        "versions": versions(),
        "configuration": config.as_dict(),
        "distil": asdict(distil),
        **counts,
        "seconds": round(work.seconds, 1),
        "instances": _effect(original, instances, {"inserted": before, "distilled": after}, config),
    }
    text = json.dumps(effect, indent=1) + "\n"
    write_atomically(run.folder / EFFECT, lambda temporary: temporary.write_text(text))
    trained = Trained(config, request.adapter.classes, model.cpu(), config.train.epochs, work.seconds, 0, statistics)
    run.log("adapted", adapter=config.data.name, steps=["inserted", "distilled"], distil=asdict(distil))
    save_calibrated(run, trained, statistics)
    save_trained(run, trained)  # written last: its presence means that the run is finished
    return trained


def _result(student: Student, values: dict[str, Tensor]) -> tuple[nn.Module, Sequence[Instance], dict[str, Statistics]]:
    """(a network with the trained shared weights, its instances, what each has of its own). values: trained tensors."""
    shared, statistics = student.result(values)
    model = copy.deepcopy(student.model)
    model.load_state_dict(shared, strict=False)
    return model, student.instances, statistics


def _read(request: BulkRequest) -> Pictures:
    """Read all pictures into the store, and divide them. Raises DataError if too few can be read."""
    data, distil = request.adapter.config.data, request.distil
    gathered = gather(request.folders, request.without, data, distil.held_out, distil.repeat)
    learned = some(gathered.learned, distil.pictures, request.adapter.config.train.seed)
    every = list(dict.fromkeys([*learned, *gathered.held_out]))
    store = Store(request.cache, data.resize or data.size, data.kernel)
    store.fill(every, data.workers, request.pause)
    broken = store.broken(every)
    for path, why in list(broken.items())[:NAMED]:
        say(f"left out: {path} {why}")
    if broken:
        say(f"{len(broken)} of {len(every)} pictures are left out, because they cannot be read")
    pictures = Pictures(store.pool(learned), store.pool(gathered.held_out), broken)
    if not len(pictures.learned) or not len(pictures.held_out):
        raise DataError(f"of {len(every)} pictures {len(broken)} cannot be read; too few are left")
    return pictures


def _asked(config: Config, distil: Distil, original: Network, learned: Pool) -> dict[str, Any]:
    """All that the distilled weights depend on, as plain values."""
    train = replace(config.train, threads=1, device="cpu", checkpoint_minutes=0)
    whole = {
        **replace(config, train=train, data=replace(config.data, workers=0)).as_dict(),
        "distil": asdict(replace(distil, look_every=0, look=1)),
        "weights": weights_digest(original),
        "pictures": learned.digest,
    }
    return json.loads(json.dumps(whole))


def _answers(request: BulkRequest, work: Distillation, asked: dict[str, Any]) -> Answers:
    teacher = {key: value for key, value in asked["distil"].items() if key.startswith("teacher")}
    depends = {
        "crops": work.crops.policy.as_dict(),
        "teacher": teacher,
        "precision": work.precision,
        **{key: asked[key] for key in ("weights", "pictures", "data")},
    }
    return Answers(request.cache, depends, len(work.crops), work.student.model.classes)


def _exam(request: BulkRequest, original: Network, held_out: Pool, precision: str) -> Exam:
    data, pause = request.adapter.config.data, request.pause
    images = PictureFiles(held_out.files, data).in_memory()
    asked = {**_identity(original, held_out.digest, request), "precision": precision}
    answers = kept(
        request.cache, "held-out", asked, lambda: logits_at(precision, original, FULL, {}, images, data, pause)
    )
    return Exam(images, answers, request.labelled, data, precision, pause)


def _inserted(request: BulkRequest, exam: Exam, original: Network, instances: Sequence[Instance]) -> dict[str, Row]:
    """The figures of the instances before any training: points inserted, and nothing else."""
    statistics = trained_statistics(original)
    content = hashlib.sha256(exam.images.numpy())
    if exam.labelled is not None:
        content.update(exam.labelled.images.numpy())
        content.update(exam.labelled.labels.numpy())
    asked = {**_identity(original, content.hexdigest(), request), "precision": exam.precision}
    return {
        i.id: kept(
            request.cache,
            "inserted",
            {**asked, "instance": [i.p, i.r], "pooling": request.adapter.config.model.pooling},
            lambda i=i: exam.row(original, i, statistics),
        )
        for i in instances
    }


def _identity(original: Network, pictures: str, request: BulkRequest) -> dict[str, Any]:
    data = asdict(replace(request.adapter.config.data, workers=0))
    return {"weights": weights_digest(original), "pictures": pictures, "data": data}


def _effect(
    original: Network, instances: Sequence[Instance], steps: dict[str, dict[str, Row]], config: Config
) -> list[Row]:
    """A row for each instance: its cost, and its figures after each step."""
    full = network_flops(config.model, original.classes, config.data.size)

    def share(instance: Instance) -> float:
        return round(network_flops(config.model, original.classes, config.data.size, instance) / full, 4)

    return [{"id": i.id, "share": share(i), **{name: of[i.id] for name, of in steps.items()}} for i in instances]
