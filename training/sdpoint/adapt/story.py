"""Adapts a trained network, step by step: load it, insert downsampling points, find statistics, distil.

The result is a run folder as training leaves it. No labels are needed: instances are trained to answer as `full` does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdpoint.adapt.adapter import Adapter
from sdpoint.adapt.effect import effect_rows
from sdpoint.adapt.statistics import mixed_statistics, trained_statistics
from sdpoint.adapt.tune import Lessons, crops, mixed, tune
from sdpoint.calibrate import Statistics
from sdpoint.checkpoint import Trained, save_calibrated, save_trained
from sdpoint.config import Config, ConfigError, DataConfig
from sdpoint.data import DataError, Split, hold_out, load_pictures
from sdpoint.evaluate import logits_of
from sdpoint.instance import FULL, Instance
from sdpoint.models import Network
from sdpoint.precision import chosen
from sdpoint.run import Run, commit, say, versions, write_atomically
from sdpoint.systems import build_system

EFFECT = "effect.json"
# Results of single instances are kept in folders of these names, so that a killed call can be resumed.
KEPT = ("statistics", "tuned")


@dataclass(frozen=True)
class Request:
    """What to adapt. pictures: a folder; weights: file with a state dict, in place of the adapter's."""

    adapter: Adapter
    pictures: Path
    weights: Path | None = None
    variants: int = 4  # random crops of each picture for distillation; 0: no distillation
    tunings: int = 1  # distillations of each instance, on different crops; the mean of their results is used
    more: Mapping[str, int] = field(default_factory=dict)  # by instance id: number of tunings, in place of `tunings`
    labelled: Split | None = None  # pictures to measure top-1 on; not trained on

    def tunings_of(self, instance: Instance) -> int:
        return self.more.get(instance.id, self.tunings)


def adapt(request: Request, run: Run) -> Trained:
    """Adapt a network; writes `effect.json`, `calibrated.pt` and `checkpoint.pt` to the run folder.

    If the process was killed, another call resumes with the instance that was under way. Raises ConfigError, DataError,
    or FileExistsError if the run is finished.
    """
    if (run.folder / "checkpoint.pt").exists():
        raise FileExistsError(f"{run.folder} holds a run; choose another folder")
    config, began = request.adapter.config, time.perf_counter()
    fewest = min([request.tunings, *request.more.values()])
    if request.variants < 0 or fewest < 1:
        raise ConfigError(f"{request.variants} variants, {fewest} tunings; expected 0 or more, and 1 or more")
    if config.data.loading != "memory":
        raise ConfigError(f"data.loading is {config.data.loading!r}; an adaptation needs memory, for its few pictures")
    before = sum(r["seconds"] for kind in KEPT for r in run.records(kind))  # spent in calls that were killed
    model = request.adapter.load(request.weights)
    instances = build_system(config, model.classes).configurations
    if unknown := request.more.keys() - {i.id for i in instances}:
        raise ConfigError(f"tunings of {sorted(unknown)}; there are {[i.id for i in instances]}")
    part, held_out = divided(request.pictures, config.data)
    run.save_config(config)
    how = {"precision": chosen(config.train.precision, part.images.device), "weights": str(request.weights or "")}
    run.log("start", commit=commit(), versions=versions(), pictures=len(part), **how)
    say(f"{model.name}: {len(instances)} instances; {len(part)} pictures, {len(held_out)} held out")

    seen = Lessons(part.images, logits_of(model, FULL, {}, part.images, config.data))
    mixtures = {i.id: _mixed(model, i, seen, config, run) for i in instances}
    shares = {id: share for id, (_, share) in mixtures.items()}
    steps = {
        "inserted": dict.fromkeys(mixtures, trained_statistics(model)),
        "statistics": {id: statistics for id, (statistics, _) in mixtures.items()},
    }
    if request.variants:
        steps["distilled"] = _distilled(model, instances, request, part, run)
    final = list(steps.values())[-1]
    seconds, classes = before + time.perf_counter() - began, request.adapter.classes
    rows = effect_rows(model, instances, steps, held_out.images, request.labelled, config)
    head = {"network": model.name, "commit": commit(), "versions": versions(), "configuration": config.as_dict()}
    counts = {
        "pictures": len(part),
        "variants": request.variants,
        "tunings": request.tunings,
        "more": dict(request.more),
    }
    _write_effect(run.folder / EFFECT, {**head, **counts, "estimatedShares": shares, "instances": rows})
    trained = Trained(config, classes, model, config.train.epochs, seconds, statistics=final)
    run.log("adapted", adapter=request.adapter.config.data.name, steps=list(steps))
    save_calibrated(run, trained, final)
    save_trained(run, trained)  # written last: its presence means that the run is finished
    return trained


def divided(pictures: Path, data: DataConfig) -> tuple[Split, Split]:
    """Read pictures; returns (pictures to learn from, in random order; held-out pictures).

    The division is that of `load_training` for the same pictures. Raises DataError if none are held out.
    """
    part, held_out = hold_out(load_pictures(pictures, data), data.held_out, seed=0)
    if not len(held_out):
        raise DataError("no pictures were held out (data.held_out is 0); agreement with full cannot be measured")
    return part.subset(torch.randperm(len(part), generator=torch.Generator().manual_seed(0))), held_out


def _distilled(
    model: Network, instances: Sequence[Instance], request: Request, part: Split, run: Run
) -> dict[str, Statistics]:
    """The tuned statistics by instance id: for each instance the mean of its tunings.

    Their mean answers more like `full` than each of them (Wortsman et al., Model soups, 2022). On a few hundred
    pictures each tuning ends at other values near the trained ones, and the differences between them are random.
    """
    mean: dict[str, Statistics] = {}
    config, pictures = request.adapter.config, _uncut(request, part)
    for number in range(max(map(request.tunings_of, instances))):
        drawn = replace(config, train=replace(config.train, seed=config.train.seed + number))
        lessons = _lessons(model, pictures, request.variants, drawn)
        for instance in (i for i in instances if number < request.tunings_of(i)):
            tuned = _tuned(model, instance, lessons, drawn, run)
            before = mean.get(instance.id, tuned)
            mean[instance.id] = {n: torch.lerp(before[n], tuned[n], 1 / (number + 1)) for n in tuned}
    return mean


def _uncut(request: Request, part: Split) -> Tensor:
    """The pictures of this part before the border is cropped: [n, side, side, 3] uint8, side = data.resize."""
    data = request.adapter.config.data
    every = load_pictures(request.pictures, replace(data, size=data.resize or data.size))
    wanted = set(part.files)
    return every.images[torch.tensor([file in wanted for file in every.files])]


def _lessons(model: Network, pictures: Tensor, variants: int, config: Config) -> Lessons:
    """Random crops of the pictures, half of them blended with another crop, with the logits of `full`."""
    data, generator = config.data, torch.Generator().manual_seed(config.train.seed)
    images = torch.cat([mixed(crops(pictures, data.size, generator), generator) for _ in range(variants)])
    return Lessons(images, logits_of(model, FULL, {}, images, data))


def _mixed(model: Network, instance: Instance, seen: Lessons, config: Config, run: Run) -> tuple[Statistics, float]:
    return _kept(
        "statistics",
        instance.id,
        _asked(config, seen, "data", "model"),
        lambda: mixed_statistics(model, instance, seen.images, seen.answers, config.data),
        run,
    )


def _tuned(model: Network, instance: Instance, lessons: Lessons, config: Config, run: Run) -> Statistics:
    if instance == FULL:
        return trained_statistics(model)
    asked = _asked(config, lessons, "data", "model", "train")
    name = f"{instance.id}-{config.train.seed}"
    return _kept("tuned", name, asked, lambda: tune(model, instance, lessons, config), run)


def _asked(config: Config, lessons: Lessons, *sections: str) -> dict[str, Any]:
    """What the result of one instance depends on: sections of the configuration without the other ratios, lessons."""
    whole = config.as_dict()
    del whole["model"]["ratios"]
    return {**{section: whole[section] for section in sections}, "lessons": lessons.digest}


def _kept(kind: str, name: str, asked: dict[str, Any], compute: Callable[[], Any], run: Run) -> Any:
    """The result of `compute`, cached in `<kind>/<name>.pt`.

    asked: what the result depends on; a cached result is used only if it was stored with an equal value.
    """
    path = run.folder / kind / f"{name}.pt"
    if path.exists() and (kept := torch.load(path, weights_only=True))["asked"] == asked:
        say(f"{name}: {kind} before")
        return kept["result"]
    began = time.perf_counter()
    result = compute()
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, lambda temporary: torch.save({"asked": asked, "result": result}, temporary))
    run.log(kind, name=name, seconds=round(time.perf_counter() - began, 1))
    return result


def _write_effect(path: Path, content: dict[str, Any]) -> None:
    write_atomically(path, lambda temporary: temporary.write_text(json.dumps(content, indent=1) + "\n"))
