"""What a family says of itself that no run folder knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from sdpoint.config import ConfigError, load_yaml, typed

APACHE = "Apache-2.0"


@dataclass(frozen=True)
class About:
    """Every key of an `--about` file, with its default."""

    description: str = "An image classifier that runs at many costs."
    dataset: str = ""  # its name as people write it; empty: data.name of the configuration
    source: str = "trained from scratch with training/ of this repository"  # where the weights come from
    license: str = APACHE  # of the weights, an SPDX identifier
    license_file: str = ""  # its text, relative to the about file; needed for any other licence than Apache-2.0
    scope: str = ""  # which pictures of the test part accuracy was measured on; empty: all
    labels_file: str = ""  # relative to the about file: a line for each class, its folder's name, then a readable one
    limits: tuple[str, ...] = ()  # what a user must know before relying on the answers

    def __post_init__(self) -> None:
        if self.license != APACHE and not self.license_file:
            raise ConfigError(f"license is {self.license}; give its text as license_file")


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


def load_about(path: Path | None) -> tuple[About, str]:
    """(about, the licence's text). Raises ConfigError."""
    about = typed(About, load_yaml(path)) if path else About()
    if not about.license_file:
        return about, resources.files("sdpoint.export").joinpath("Apache-2.0.txt").read_text()
    try:
        return about, (path.parent / about.license_file).read_text()
    except OSError as error:
        raise ConfigError(f"license_file: {error}") from error
