"""Runs a list of experiments. Each experiment is a configuration with a seed, and writes one JSON file with its
results.

The same command can be given again: finished experiments are skipped, and an interrupted one is resumed.
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
    """One training run of a list.

    sweep: name of the list; system: name in tables, such as `alternate`; config: with seed.
    """

    sweep: str
    system: str
    config: Config

    @property
    def name(self) -> str:
        return f"{self.system}-seed{self.config.train.seed}"


@dataclass(frozen=True)
class _Runs:
    """An entry of `runs` in a list: one system, for several seeds."""

    name: str = ""  # name of the system in tables
    set: tuple[str, ...] = ()  # texts section.key=value, as for `sdpoint train --set`
    seeds: tuple[int, ...] = ()  # empty: the seeds of the list


@dataclass(frozen=True)
class _List:
    """The keys of a list's YAML file."""

    config: str = ""  # path of the configuration, relative to the list
    set: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    runs: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Places:
    """Folders. data: image folder; runs: for run folders; results: for the JSON files."""

    data: Path
    runs: Path
    results: Path


def load_sweep(path: Path) -> list[Experiment]:
    """Read a list of experiments. Its name is that of the file.

    Raises ConfigError if it, or a configuration, is invalid.
    """
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
    """Run the unfinished experiments and measure them on `part` (see PARTS). Returns the names of runs that diverged.

    parallel: number of runs at the same time, each in a process of its own; threads: for each run; device: cpu or cuda.
    None means the value of the configuration.
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
    """Run an experiment. Returns its name if its loss diverged, so that the other experiments go on; otherwise None."""
    say(f"{experiment.sweep}/{experiment.name}")
    try:
        run_experiment(experiment, places, part)
    except FloatingPointError as error:
        say(f"{experiment.name}: {error}")
        return experiment.name
    return None


def _attempt_apart(experiment: Experiment, places: Places, part: str) -> str | None:
    """`_attempt` in a process of its own, whose messages go to `output.log` of the run folder."""
    terminal = sys.stderr
    print(f"{experiment.sweep}/{experiment.name}", file=terminal, flush=True)
    with (_run_of(experiment, places).folder / "output.log").open("a") as sys.stderr:
        try:
            return _attempt(experiment, places, part)
        finally:
            sys.stderr = terminal


def run_experiment(experiment: Experiment, places: Places, part: str) -> Path:
    """Train, calibrate, measure on one part, and add the figures to the JSON file. Returns the path of that file.

    Raises RunError if the run folder belongs to another configuration.
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
    """Measure every configuration on a part of the data.

    For SDPoint also with the running averages that training left, shared by all instances (the paper's ablation UBN).
    """
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
    """Whether the experiment's JSON file has figures of the part. Raises RunError if it is of another configuration."""
    path = _result_path(experiment, results)
    if not path.exists():
        return False
    content = json.loads(path.read_text())
    if not same_run(parse_config(content["config"]), experiment.config):
        raise RunError(f"{path} was made by another configuration; remove it, or name the experiment otherwise")
    return part in content["parts"]


def same_run(a: Config, b: Config) -> bool:
    """Whether two configurations give the same figures up to rounding: they may differ in threads and device."""
    return placed(a, 1, "cpu") == placed(b, 1, "cpu")


def placed(config: Config, threads: int | None, device: str | None) -> Config:
    """The configuration with other threads and another device; None: unchanged."""
    train = config.train
    return replace(config, train=replace(train, threads=threads or train.threads, device=device or train.device))


def _refuse_another(experiment: Experiment, run: Run) -> None:
    path = run.folder / "config.yaml"
    if path.exists() and not same_run(parse_config(load_yaml(path)), experiment.config):
        raise RunError(f"{run.folder} was made by another configuration; remove it, or name the experiment otherwise")


def _calibrated(run: Run, part: Split) -> Trained:
    """The run's network with its statistics, which are computed if they are missing or belong to other weights."""
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
    """JSON with one line for each key of the top level."""
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"
