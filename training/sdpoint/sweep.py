"""A list of experiments, run one after another: each is a configuration and a seed, and leaves one JSON file.

What is finished is skipped and what was interrupted goes on, so that the same command can be given again.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sdpoint.answers import detailed_rows
from sdpoint.calibrate import calibrate, calibration_pictures
from sdpoint.checkpoint import Trained, load_calibrated, load_trained, save_calibrated
from sdpoint.config import Config, ConfigError, DataConfig, load_yaml, parse_config, typed
from sdpoint.data import DataError, Split, load_training
from sdpoint.distributed import device_of
from sdpoint.evaluate import open_test
from sdpoint.run import Run, RunError, say, write_atomically
from sdpoint.train import train

PARTS = ("held-out", "test")


@dataclass(frozen=True)
class Experiment:
    """One run. system: its name in tables, as `alternate`; config: with the seed."""

    sweep: str
    system: str
    config: Config

    @property
    def name(self) -> str:
        return f"{self.system}-seed{self.config.train.seed}"


@dataclass(frozen=True)
class _Runs:
    name: str = ""  # of the system, in tables
    set: tuple[str, ...] = ()  # section.key=value, as for `sdpoint train`
    seeds: tuple[int, ...] = ()  # the list's if empty


@dataclass(frozen=True)
class _List:
    config: str = ""  # path from the list's folder
    set: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    runs: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Places:
    """data: image folder; runs: where run folders go; results: where JSON files go."""

    data: Path
    runs: Path
    results: Path


def load_sweep(path: Path) -> list[Experiment]:
    """Read a list; its name is the file's. Raises ConfigError, also if a configuration in it is wrong."""
    listed = typed(_List, load_yaml(path))
    base = load_yaml(path.parent / listed.config)
    experiments = []
    for raw in listed.runs:
        runs = typed(_Runs, raw if isinstance(raw, dict) else {"name": raw}, "runs.")
        for seed in runs.seeds or listed.seeds:
            config = parse_config(base, [*listed.set, *runs.set, f"train.seed={seed}"])
            experiments.append(Experiment(path.stem, runs.name, config))
    names = [e.name for e in experiments]
    if not names or len(set(names)) < len(names) or not all(e.system for e in experiments):
        raise ConfigError(f"{path}: runs are {names}; expected at least one, each with a name of its own")
    return experiments


def run_sweep(
    experiments: Sequence[Experiment],
    places: Places,
    part: str,
    parallel: int = 1,
    threads: int | None = None,
    device: str | None = None,
) -> list[str]:
    """Run what is not finished; returns the names of runs whose loss diverged.

    parallel: how many runs at once, each in a process; threads of each, device: default, its configuration's.
    """
    experiments = [replace(e, config=placed(e.config, threads, device)) for e in experiments]
    waiting = [e for e in experiments if not finished(e, places.results, part)]
    say(f"{len(experiments) - len(waiting)} of {len(experiments)} runs are finished")
    if parallel == 1:
        done = map(partial(_attempt, places=places, part=part), waiting)
        return [name for name in done if name]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(parallel, context) as pool:
        return [name for name in pool.map(partial(_attempt_apart, places=places, part=part), waiting) if name]


def _attempt(experiment: Experiment, places: Places, part: str) -> str | None:
    """The experiment's name if it diverged: the others are still worth having."""
    say(f"{experiment.sweep}/{experiment.name}")
    try:
        run_experiment(experiment, places, part)
    except FloatingPointError as error:
        say(f"{experiment.name}: {error}")
        return experiment.name
    return None


def _attempt_apart(experiment: Experiment, places: Places, part: str) -> str | None:
    """The same in a process of its own, which writes to `output.log` of the run folder."""
    terminal = sys.stderr
    print(f"{experiment.sweep}/{experiment.name}", file=terminal, flush=True)
    with (_run_of(experiment, places).folder / "output.log").open("a") as sys.stderr:
        try:
            return _attempt(experiment, places, part)
        finally:
            sys.stderr = terminal


def run_experiment(experiment: Experiment, places: Places, part: str) -> Path:
    """Train, calibrate, measure on one part, and add that to the JSON file. Returns its path.

    Raises RunError if the run folder was made by another configuration.
    """
    run = _run_of(experiment, places)
    _refuse_another(experiment, run)
    trained_on, held_out = _training(places.data, experiment.config.data)
    train(experiment.config, trained_on, held_out, run, resume=True)
    trained = _calibrated(run, trained_on)
    trained.model.to(device_of(experiment.config.train.device))
    if part == "test":
        split = open_test(places.data, trained, run, "sweep")
    elif not len(split := held_out):
        raise DataError("no pictures were held out (data.held_out is 0)")
    path = _result_path(experiment, places.results)
    earlier = json.loads(path.read_text())["parts"] if path.exists() else {}
    content = _head(experiment, trained, run) | {"parts": earlier | {part: measure(trained, split)}}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: temporary.write_text(compact(content)))
    return path


def measure(trained: Trained, split: Split) -> dict[str, Any]:
    """Every configuration on a part; for SDPoint also with the running averages that training left (UBN)."""
    by_class = split.labels.bincount(minlength=len(split.classes)).tolist()
    measured = {
        "n": len(split),
        "nByClass": by_class,
        "configurations": detailed_rows(trained, trained.statistics, split),
    }
    if trained.system.ubn:
        shared: dict[str, Any] = {c.id: {} for c in trained.instances}
        measured["ubn"] = detailed_rows(trained, shared, split)
    return measured


def _head(experiment: Experiment, trained: Trained, run: Run) -> dict[str, Any]:
    starts = run.records("start")
    return {
        "sweep": experiment.sweep,
        "system": experiment.system,
        "seed": experiment.config.train.seed,
        "network": trained.model.name,
        "parameters": sum(p.numel() for p in trained.model.parameters()),
        "classes": list(trained.classes),
        "pictures": starts[-1]["pictures"],
        "epochs": trained.epoch,
        "trainingFlops": trained.flops,
        "trainingFlopsPerEpoch": round(trained.flops / trained.epoch),
        "seconds": round(trained.seconds, 1),
        "commit": run.trained("commit", "unknown"),
        "device": run.trained("device", "cpu"),
        "versions": starts[-1]["versions"],
        "weights": trained.digest,
        "testOpened": len(run.records("test-opened")),
        "config": plain(experiment.config),
    }


def finished(experiment: Experiment, results: Path, part: str) -> bool:
    """Whether its JSON file holds the part. Raises RunError if another configuration made the file."""
    path = _result_path(experiment, results)
    if not path.exists():
        return False
    content = json.loads(path.read_text())
    if not same_run(parse_config(content["config"]), experiment.config):
        raise RunError(f"{path} was made by another configuration; remove it, or name the experiment otherwise")
    return part in content["parts"]


def same_run(a: Config, b: Config) -> bool:
    """Whether they give the same figures but for rounding; where it runs changes only how long it takes."""
    return placed(a, 1, "cpu") == placed(b, 1, "cpu")


def placed(config: Config, threads: int | None, device: str | None) -> Config:
    """The same, to run with so many threads and on that device; None: as the configuration says."""
    train = config.train
    return replace(config, train=replace(train, threads=threads or train.threads, device=device or train.device))


def _refuse_another(experiment: Experiment, run: Run) -> None:
    path = run.folder / "config.yaml"
    if path.exists() and not same_run(parse_config(load_yaml(path)), experiment.config):
        raise RunError(f"{run.folder} was made by another configuration; remove it, or name the experiment otherwise")


def _calibrated(run: Run, part: Split) -> Trained:
    """The run's network with statistics, computed if those that are there belong to other weights."""
    try:
        return load_calibrated(run)
    except RunError:
        trained = load_trained(run)
        trained.model.to(device_of(trained.config.train.device))
        pictures = calibration_pictures(part)
        save_calibrated(run, trained, calibrate(trained.model, trained.instances, pictures, trained.config.data))
        run.log("calibrated", epoch=trained.epoch, weights=trained.digest, pictures=len(pictures))
        return load_calibrated(run)


def _run_of(experiment: Experiment, places: Places) -> Run:
    return Run(places.runs / experiment.sweep / experiment.name)


def _result_path(experiment: Experiment, results: Path) -> Path:
    return results / experiment.sweep / f"{experiment.name}.json"


_training: Callable[[Path, DataConfig], tuple[Split, Split]] = lru_cache(maxsize=1)(load_training)


def plain(config: Config) -> dict[str, Any]:
    return json.loads(json.dumps(config.as_dict()))  # tuples to lists


def compact(content: dict[str, Any]) -> str:
    """JSON with a line for each key."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"
