"""Teaches new classes to a trained network, from a few hundred labelled pictures.

Each instance gets a classifier of its own on its own features, because features shift with the resolution (Touvron et
al., Fixing the train-test resolution discrepancy, 2019, arXiv 1906.06423). All other weights stay as they are. They can
be fine-tuned as well; that result is kept only if it is better on held-out pictures.

The result is a run folder like that of `sdpoint train` and `sdpoint calibrate`, for `sdpoint evaluate` and `export`.
"""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sdpoint.adapt.classifier import Judged, choose, fit, loss_of, scale_of
from sdpoint.adapt.features import CLASSIFIER, compute_features, without_classifier
from sdpoint.calibrate import Statistics, calibrate, calibration_pictures
from sdpoint.checkpoint import (
    CrossValidated,
    Trained,
    load_calibrated,
    load_trained,
    save_calibrated,
    save_trained,
)
from sdpoint.config import Config, ConfigError, parse_config
from sdpoint.data import DataError, Split, load_training
from sdpoint.evaluate import accuracy_of
from sdpoint.export.about import LICENSE
from sdpoint.export.load import load_family
from sdpoint.export.manifest import FILE as MANIFEST
from sdpoint.instance import FULL, Instance
from sdpoint.models import build_model
from sdpoint.run import Run, commit, progress, say, versions
from sdpoint.state import State
from sdpoint.temperature import fit_temperature
from sdpoint.train import train

SETTINGS = (  # in place of those of the original training; --set overrides them
    "data.loading=stream",
    "data.workers=2",  # decoding takes far less time than the instances do
    "train.batch=32",
    "train.lr=0.001",  # chosen by results/new-head-rates.json
    "train.distill_from=0.0",
    "train.cutout=0",
)
HELD_OUT = 60  # pictures by which fine-tuning is judged; without it classifiers learn from all pictures
SHARED_MOST = 2000  # pictures up to which a classifier for all instances is tried: their features must be in memory
FEATURES, TUNING = "features", "fine-tuning"  # folders in the run folder


@dataclass(frozen=True)
class Origin:
    """Where a network comes from: keys of `About` that a family made of it must repeat, and the text of its licence."""

    about: dict[str, str]
    license_text: str


@dataclass(frozen=True)
class Pictures:
    """The pictures of the training part: those to learn from, and those held out. root: their folder."""

    root: Path
    part: Split
    held_out: Split


@dataclass(frozen=True)
class Taught:
    """A network with classifiers for the new classes, and a record about each of them.

    loss: mean over the instances, on the held-out pictures; 0 if there are none.
    """

    trained: Trained
    rows: list[dict[str, Any]]
    loss: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """A classifier of an instance. own: fitted on the features of this instance only.

    logits: [n, classes], for pictures that the judged classifiers had not seen.
    """

    head: nn.Linear
    own: bool
    judged: Judged
    logits: Tensor

    @property
    def crossed(self) -> CrossValidated:
        accuracy = accuracy_of(self.logits, self.judged.labels)
        temperature = fit_temperature(self.logits, self.judged.labels)
        return CrossValidated(temperature, accuracy.correct, accuracy.correct5, accuracy.n)


def load_source(folder: Path) -> tuple[Trained, Origin | None]:
    """Load the network in the folder of a family or of a calibrated run, with its origin.

    The origin is None for a run that was trained from scratch. Raises ExportError, RunError, ConfigError.
    """
    if (folder / MANIFEST).exists():
        manifest = json.loads((folder / MANIFEST).read_text())
        source = f"{manifest['name']} ({manifest['source']}), taught other classes with training/ of this repository"
        about = {"source": source, "license": manifest["license"]}
        return load_family(folder), Origin(about, (folder / LICENSE).read_text())
    run = Run.existing(folder)
    if run.records("adapted"):
        raise ConfigError(
            f"{folder}: others trained this network; export it first, with whose it is, and give the family"
        )
    trained = load_calibrated(run)
    if not all(isinstance(configuration, Instance) for configuration in trained.instances):
        other = trained.config.system.name
        raise ConfigError(f"{folder}: new classes are for instances of a network; {other} has others")
    about = taught[-1]["about"] if (taught := run.records("taught")) else {}
    return trained, Origin(about, (run.folder / LICENSE).read_text()) if about else None


def new_head(
    source: Trained, origin: Origin | None, data: Path, run: Run, overrides: Sequence[str] = (), epochs: int = 0
) -> Trained:
    """Teach the classes of `<data>/train/<class>/*` to the source's network; writes a calibrated run.

    If the process was killed, another call goes on with what is missing. overrides: texts `section.key=value`; epochs:
    of fine-tuning all weights, 0 to leave them. Raises ConfigError, DataError, or FileExistsError if the run is
    finished.
    """
    if (run.folder / "calibrated.pt").exists():
        raise FileExistsError(f"{run.folder} holds a run; choose another folder")
    began = time.perf_counter()
    config = _configuration(source, data, overrides, epochs)
    torch.set_num_threads(config.train.threads)
    pictures = _pictures(data, config, epochs)
    counts = f"{len(pictures.part)} pictures to learn from, {len(pictures.held_out)} held out"
    say(f"{counts}, {len(pictures.part.classes)} classes, {len(source.instances)} instances")
    if origin:
        (run.folder / LICENSE).write_text(origin.license_text)
    run.save_config(config)
    run.log("start", commit=commit(), versions=versions(), pictures=len(pictures.part))
    taught = _taught(replace(source, epoch=0), pictures, config, run.folder / FEATURES)
    losses = {}
    if epochs:
        tuned = _taught(_fine_tuned(taught.trained, pictures, run), pictures, config, run.folder / FEATURES)
        losses = {"frozen": round(taught.loss, 4), "fineTuned": round(tuned.loss, 4)}
        better = tuned.loss < taught.loss
        say(f"loss on held-out pictures: {losses}; fine-tuning is {'kept' if better else 'not kept'}")
        taught = tuned if better else taught
    trained = replace(taught.trained, seconds=time.perf_counter() - began)
    run.log("taught", about=origin.about if origin else {}, losses=losses, epochs=trained.epoch, instances=taught.rows)
    save_trained(run, trained)
    save_calibrated(run, trained, trained.statistics)  # written last: its presence means that the run is finished
    for folder in (FEATURES, TUNING):
        shutil.rmtree(run.folder / folder, ignore_errors=True)
    return trained


def _configuration(source: Trained, data: Path, overrides: Sequence[str], epochs: int) -> Config:
    raw = source.config.as_dict()
    raw["data"] = {**raw["data"], "name": data.resolve().name, "held_out": HELD_OUT if epochs else 0}
    return parse_config(raw, [*SETTINGS, *([f"train.epochs={epochs}"] if epochs else []), *overrides])


def _pictures(data: Path, config: Config, epochs: int) -> Pictures:
    """Raises DataError if there are too few for a cross-validation, or none held out that fine-tuning needs."""
    part, held_out = load_training(data, config.data)
    if epochs and len(part) < config.train.batch:
        raise DataError(f"train.batch is {config.train.batch}; there are only {len(part)} pictures to train on")
    if epochs and not len(held_out):
        raise DataError("data.held_out is 0; fine-tuning is judged by held-out pictures")
    counts = part.labels.bincount(minlength=len(part.classes)).tolist()
    if min(counts) < 2:
        name = part.classes[counts.index(min(counts))]
        raise DataError(f"class {name} has {min(counts)} pictures to learn from; expected 2 or more")
    return Pictures(data, part, held_out)


def _taught(source: Trained, pictures: Pictures, config: Config, folder: Path) -> Taught:
    """The source's network with a classifier for each instance. folder: for the features."""
    part, held_out = pictures.part, pictures.held_out
    seen = compute_features(source, part, pictures.root, config.data, folder)
    torch.set_num_threads(1)  # the steps of a fit are so short that more threads mostly wait for each other
    fitted = _fitted(source.instances, seen.of, part)
    torch.set_num_threads(config.train.threads)
    trained = _with_classifiers(source, {id: each.head for id, each in fitted.items()}, part.classes, config)
    rows = [{"id": id, "own": each.own, "strength": each.judged.strength} for id, each in fitted.items()]
    if not len(held_out):
        return Taught(replace(trained, crossed={id: each.crossed for id, each in fitted.items()}), rows)
    unseen = compute_features(source, held_out, pictures.root, config.data, folder)
    losses = [loss_of(each.head(unseen.of(id)), held_out.labels) for id, each in fitted.items()]
    return Taught(trained, rows, sum(losses) / len(losses))


def _fitted(instances: Sequence[Instance], features: Callable[[str], Tensor], part: Split) -> dict[str, Fitted]:
    """A classifier for each instance, by id. features: of an instance's id, [n, channels].

    It is fitted either on the instance's own features, or on those of all instances, each on its own scale. The latter
    is often better on few pictures, as each of them is then seen at several resolutions.
    """
    scales = {i.id: scale_of(features(i.id)) for i in instances}
    labels, classes = part.labels, len(part.classes)
    shared = None
    if len(part) <= SHARED_MOST:
        say("a classifier for all instances, by cross-validation")
        every = torch.stack([scales[i.id].apply(features(i.id)) for i in instances], dim=1)
        shared = choose(every, labels, classes)
        common = fit(every, labels, classes, shared.strength)

    def one(id: str) -> Fitted:
        scaled = scales[id].apply(features(id))
        own = choose(scaled[:, None], labels, classes)
        if shared and loss_of(logits := shared.logits(scaled), shared.labels) <= own.loss:
            return Fitted(scales[id].undone(common), False, shared, logits)
        head = fit(scaled[:, None], labels, classes, own.strength)
        return Fitted(scales[id].undone(head), True, own, own.logits(scaled))

    return {i.id: one(i.id) for i in progress(instances, "classifiers")}


def _with_classifiers(
    source: Trained, heads: dict[str, nn.Linear], classes: tuple[str, ...], config: Config
) -> Trained:
    """The source's network; the classifier of `full` is the network's, the others are among the instances' tensors."""
    model = build_model(config.model, len(classes))
    whole = source.model.state_dict() | source.statistics[FULL.id]
    model.load_state_dict(without_classifier(whole), strict=False)
    model.fc.load_state_dict(heads[FULL.id].state_dict())

    def own(id: str) -> Statistics:
        head = {} if id == FULL.id else heads[id].state_dict()
        return without_classifier(source.statistics[id]) | {CLASSIFIER + name: value for name, value in head.items()}

    statistics = {instance.id: own(instance.id) for instance in source.instances}
    return Trained(config, classes, model.eval(), source.epoch, 0.0, statistics=statistics)


def _fine_tuned(trained: Trained, pictures: Pictures, run: Run) -> Trained:
    """Train all weights as SDPoint does, in a run folder of its own. Returns the network with new statistics.

    Raises FileExistsError if another configuration was begun there.
    """
    config, tuning = trained.config, Run(run.folder / TUNING)
    checkpoint = tuning.folder / "checkpoint.pt"
    if not checkpoint.exists():
        _begin(trained, checkpoint)
    elif load_trained(tuning).config != config:
        raise FileExistsError(f"{run.folder} holds a run of another configuration; choose another folder")
    train(config, pictures.part, pictures.held_out, tuning, resume=True)  # goes on from epoch 0
    tuned = load_trained(tuning)
    statistics = calibrate(tuned.model, tuned.instances, calibration_pictures(pictures.part), config.data)
    return replace(tuned, statistics=statistics)


def _begin(trained: Trained, checkpoint: Path) -> None:
    """Write a checkpoint of a training that has not begun, with these weights."""
    config, settings = trained.config, trained.config.train
    model = copy.deepcopy(trained.model).requires_grad_()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=True,
        weight_decay=settings.weight_decay,
    )
    State(model, optimizer, torch.Generator().manual_seed(settings.seed)).save(checkpoint, config, trained.classes)
