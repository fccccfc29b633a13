"""What a family says of itself that no run folder knows."""

from __future__ import annotations

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
    limits: tuple[str, ...] = ()  # what a user must know before relying on the answers

    def __post_init__(self) -> None:
        if self.license != APACHE and not self.license_file:
            raise ConfigError(f"license is {self.license}; give its text as license_file")


def load_about(path: Path | None) -> tuple[About, str]:
    """(about, the licence's text). Raises ConfigError."""
    about = typed(About, load_yaml(path)) if path else About()
    if not about.license_file:
        return about, resources.files("sdpoint.export").joinpath("Apache-2.0.txt").read_text()
    try:
        return about, (path.parent / about.license_file).read_text()
    except OSError as error:
        raise ConfigError(f"license_file: {error}") from error
