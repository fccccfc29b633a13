"""What a family says of itself that no run folder knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from sdpoint.config import ConfigError, load_yaml, typed
from sdpoint.run import Run

APACHE = "Apache-2.0"
LICENSE = "LICENSE"  # of the weights, in a family's folder, and in that of a run that took them from a family


@dataclass(frozen=True)
class About:
    """Every key of an `--about` file, with its default."""

    description: str = "An image classifier that runs at many costs."
    dataset: str = ""  # its name as people write it; empty: data.name of the configuration
    source: str = ""  # where the weights come from; empty: what the run's log says, which cannot know who else trained
    license: str = APACHE  # of the weights, an SPDX identifier
    license_file: str = ""  # its text, relative to the about file; needed for any other licence than Apache-2.0
    scope: str = ""  # which pictures of the test part accuracy was measured on; empty: all
    labels_file: str = ""  # relative to the about file: a line for each class, its folder's name, then a readable one
    limits: tuple[str, ...] = ()  # what a user must know before relying on the answers


def load_labels(path: Path | None, about: About, classes: Sequence[str]) -> tuple[str, ...]:
    """The readable name of every class: that of its folder, unless the about file at `path` names others.

    Raises ConfigError.
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


def load_about(path: Path | None, run: Run) -> tuple[About, str]:
    """(about, the licence's text). What others made keeps its licence and attribution. Raises ConfigError."""
    about = typed(About, load_yaml(path)) if path else About()
    if about.source:
        return about, _license_text(path, about)
    if run.records("adapted"):
        raise ConfigError(
            "others trained these weights: --about FILE with `source` (who, where) and `license` is needed"
        )
    if (taught := run.records("taught")) and taught[-1]["about"]:
        return replace(about, **taught[-1]["about"]), (run.folder / LICENSE).read_text()
    own = replace(about, source="trained from scratch with training/ of this repository")
    return own, _license_text(path, own)


def _license_text(path: Path | None, about: About) -> str:
    if not about.license_file:
        if about.license != APACHE:
            raise ConfigError(f"license is {about.license}; give its text as license_file")
        return resources.files("sdpoint.export").joinpath("Apache-2.0.txt").read_text()
    try:
        return (path.parent / about.license_file).read_text()
    except OSError as error:
        raise ConfigError(f"license_file: {error}") from error
