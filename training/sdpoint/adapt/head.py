"""Teaches new classes to a trained network: first a new classifier, then fine-tuning with a low learning rate.

The result is a run folder like that of `sdpoint train` and `sdpoint calibrate`, for `sdpoint evaluate` and `export`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.calibrate import calibrate, calibration_pictures
from sdpoint.checkpoint import Trained, load_calibrated, load_trained, save_calibrated
from sdpoint.config import Config, ConfigError, DataConfig, parse_config
from sdpoint.data import Split, load_training, normalise
from sdpoint.export.about import LICENSE
from sdpoint.export.load import load_family
from sdpoint.export.manifest import FILE as MANIFEST
from sdpoint.instance import FULL
from sdpoint.models import Network, build_model
from sdpoint.run import Run, say
from sdpoint.train import State, train

GENTLY = (  # settings of the fine-tuning, in place of those of the original training; --set overrides them
    "train.epochs=8",
    "train.batch=32",
    "train.lr=0.001",  # chosen by results/new-head-rates.json
    "train.distill_from=0.0",
    "train.cutout=0",
    "data.held_out=60",
    "data.loading=memory",
)
HEAD_STEPS = 200  # steps of Adam, each on the features of all pictures
HEAD_LR, HEAD_DECAY = 0.01, 1e-4
BATCH = 50


@dataclass(frozen=True)
class Origin:
    """Where a network comes from: keys of `About` that a family made of it must repeat, and the text of its licence."""

    about: dict[str, str]
    license_text: str


def load_source(folder: Path) -> tuple[Trained, Origin | None]:
    """Load the network in the folder of a family or of a run, with its origin.

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
    trained = load_calibrated(run) if (run.folder / "calibrated.pt").exists() else load_trained(run)
    about = taught[-1]["about"] if (taught := run.records("taught")) else {}
    return trained, Origin(about, (run.folder / LICENSE).read_text()) if about else None


def new_head(source: Trained, origin: Origin | None, data: Path, run: Run, overrides: Sequence[str] = ()) -> Trained:
    """Teach the classes of `<data>/train/<class>/*` to the source's network; writes a calibrated run.

    If the process was killed, another call resumes the run. overrides: texts `section.key=value`. Raises ConfigError,
    DataError, or FileExistsError if the run is finished or has another configuration.
    """
    checkpoint = run.folder / "checkpoint.pt"
    if (run.folder / "calibrated.pt").exists():
        raise FileExistsError(f"{run.folder} holds a run; choose another folder")
    raw = source.config.as_dict()
    raw["data"] = {**raw["data"], "name": data.resolve().name}
    config = parse_config(raw, [*GENTLY, *overrides])
    if checkpoint.exists() and load_trained(run).config != config:
        raise FileExistsError(f"{run.folder} holds a run of another configuration; choose another folder")
    part, held_out = load_training(data, config.data)
    if len(part) < config.train.batch:
        raise ConfigError(f"train.batch is {config.train.batch}; there are only {len(part)} pictures to train on")
    if origin:
        (run.folder / LICENSE).write_text(origin.license_text)
    if not checkpoint.exists():
        run.log("taught", about=origin.about if origin else {})
        _begin(source, part, config, checkpoint)
    train(config, part, held_out, run, resume=True)  # goes on from epoch 0
    trained = load_trained(run)
    pictures = calibration_pictures(part)
    statistics = calibrate(trained.model, trained.instances, pictures, config.data)
    save_calibrated(run, trained, statistics)
    run.log("calibrated", epoch=trained.epoch, weights=trained.digest, pictures=len(pictures))
    return trained


def _begin(source: Trained, part: Split, config: Config, checkpoint: Path) -> None:
    settings = config.train
    torch.manual_seed(settings.seed)
    model = with_new_classifier(source, part, config)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=True,
        weight_decay=settings.weight_decay,
    )
    State(model, optimizer, torch.Generator().manual_seed(settings.seed)).save(checkpoint, config, part.classes)


def with_new_classifier(source: Trained, part: Split, config: Config) -> Network:
    """The source's network with a new classifier, trained on the features of `full` for the pictures of `part`."""
    model = build_model(config.model, len(part.classes))
    whole = source.model.state_dict() | source.statistics.get(FULL.id, {})
    kept = {name: value for name, value in whole.items() if not name.startswith("fc.")}
    model.load_state_dict(kept, strict=False)
    model.eval()
    labels = part.labels.repeat(2)
    seen = torch.cat([features_of(model, images, config.data) for images in (part.images, part.images.flip(2))])
    classifier = fit_classifier(seen, labels, len(part.classes))
    model.fc.load_state_dict(classifier.state_dict())
    right = (classifier(seen).argmax(1) == labels).float().mean().item()
    say(f"new classifier: {right:.1%} of the pictures that it was trained on")
    return model


@torch.no_grad()
def features_of(model: Network, images: Tensor, data: DataConfig) -> Tensor:
    """The inputs of the classifier in `full`: images [n, h, w, 3] uint8 -> [n, features] float32."""

    def one(batch: Tensor) -> Tensor:
        h = model.stem(normalise(batch, data))
        for block in model.blocks:
            h = block(h)
        return model.features(h).mean((2, 3))

    return torch.cat([one(batch) for batch in images.split(BATCH)])


def fit_classifier(features: Tensor, labels: Tensor, classes: int) -> nn.Linear:
    """Fit a linear classifier (softmax regression). features: [n, channels]; labels: [n].

    Features are standardised for the fit, so that one learning rate suits all networks.
    """
    mean, deviation = features.mean(0), features.std(0).clamp_min(1e-6)
    scaled = (features - mean) / deviation
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=HEAD_LR)
    for _ in range(HEAD_STEPS):
        loss = F.cross_entropy(scaled @ weight.T + bias, labels) + HEAD_DECAY * weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer = nn.Linear(features.shape[1], classes)
    with torch.no_grad():
        layer.weight.copy_(weight / deviation)
        layer.bias.copy_(bias - layer.weight @ mean)
    return layer
