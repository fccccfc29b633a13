"""Facts about a family that are not in a run folder: description, data set, source and licence of the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from sdpoint.config import ConfigError, load_yaml, typed
from sdpoint.run import Run

APACHE = "Apache-2.0"
LICENSE = "LICENSE"  # file with the licence of the weights, in a family's folder or in a run made from a family


@dataclass(frozen=True)
class About:
    """The keys of an `--about` file, with their defaults."""

    description: str = "An image classifier that runs at many costs."
    dataset: str = ""  # name of the data set for readers; empty: data.name of the configuration
    source: str = ""  # where the weights come from; empty: from the run's log; required for adapted networks
    license: str = APACHE  # licence of the weights, as an SPDX identifier
    license_file: str = ""  # file with its text, relative to the about file; required unless it is Apache-2.0
    scope: str = ""  # the pictures of the test part that accuracy was measured on; empty: all
    labels_file: str = ""  # relative to the about file: for each class a line with its folder and its readable name
    limits: tuple[str, ...] = ()  # limitations, shown in the model card


def load_labels(path: Path | None, about: About, classes: Sequence[str]) -> tuple[str, ...]:
    """The readable name of every class, from the labels file; without one, the name of the class's folder.

    path: the about file. Raises ConfigError if the labels file cannot be read or lacks a class.
    """
    if path is None or not about.labels_file:
        return tuple(classes)
    try:
        lines = (path.parent / about.labels_file).read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"labels_file: {error}") from error
    names = dict(line.split(maxsplit=1) for line in lines if " " in line.strip())
    if missing := [name for name in classes if name not in names]:
        raise ConfigError(f"labels_file has no label for {missing[0]} and {len(missing) - 1} others")
    return tuple(names[name] for name in classes)


def load_folders(path: Path | None, about: About, labels: Sequence[str]) -> tuple[str, ...]:
    """The folder of every class of a family with these labels: the converse of `load_labels`. Raises ConfigError."""
    if path is None or not about.labels_file:
        return tuple(labels)
    lines = (path.parent / about.labels_file).read_text().splitlines()
    folders = tuple(line.split()[0] for line in lines if line.strip())
    if load_labels(path, about, folders) != tuple(labels):
        raise ConfigError(f"labels_file {about.labels_file} lists other labels than the family, or in another order")
    return folders


def load_about(path: Path | None, run: Run) -> tuple[About, str]:
    """Read an about file; returns (about, text of the licence).

    Weights from elsewhere keep their licence and attribution. Raises ConfigError if these are missing.
    """
    about = typed(About, load_yaml(path)) if path else About()
    if about.source:
        return about, license_of(path, about)
    if run.records("adapted"):
        raise ConfigError(
            "others trained these weights: --about FILE with `source` (who, where) and `license` is needed"
        )
    if (taught := run.records("taught")) and taught[-1]["about"]:
        return replace(about, **taught[-1]["about"]), (run.folder / LICENSE).read_text()
    own = replace(about, source="trained from scratch with training/ of this repository")
    return own, license_of(path, own)


def license_of(path: Path | None, about: About) -> str:
    if not about.license_file:
        if about.license != APACHE:
            raise ConfigError(f"license is {about.license}; give its text as license_file")
        return resources.files("sdpoint.export").joinpath("Apache-2.0.txt").read_text()
    try:
        return (path.parent / about.license_file).read_text()
    except OSError as error:
        raise ConfigError(f"license_file: {error}") from error
