"""The configuration of a run: frozen, every key with a default and a comment; unknown keys fail."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names the key and what is expected."""


@dataclass(frozen=True)
class DataConfig:
    name: str = "cifar10"  # the family's and the data set's name
    size: int = 32  # height and width of a picture
    mean: tuple[float, ...] = (0.4914, 0.4822, 0.4465)  # of the training set, RGB in 0..1
    std: tuple[float, ...] = (0.2470, 0.2435, 0.2616)
    held_out: int = 5000  # training pictures kept for development and for the temperatures


@dataclass(frozen=True)
class ModelConfig:
    depth: int = 16
    width: int = 2
    ratios: tuple[float, ...] = (0.5, 0.75)  # R, paper section 4


@dataclass(frozen=True)
class TrainConfig:
    epochs: int = 60
    batch: int = 128
    lr: float = 0.2  # peak of the one-cycle schedule
    warmup: float = 0.1  # share of the steps in which the rate rises; it then falls along a cosine
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    pad: int = 4  # random crop
    cutout: int = 8  # side of the hole, 0 for none
    distill_from: float = 1.0  # share of the epochs after which `full` teaches the drawn instance; 1 means never
    distill_temperature: float = 3.0  # softens teacher and pupil
    distill_weight: float = 0.9  # share of the teacher in the pupil's loss; the labels have the rest
    bfloat16: bool = True  # autocast of the forward pass; weights stay float32
    seed: int = 1
    threads: int = 2


@dataclass(frozen=True)
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


SECTIONS = {"data": DataConfig, "model": ModelConfig, "train": TrainConfig}


def parse_config(raw: dict[str, Any], overrides: list[str] = []) -> Config:
    """raw: {section: {key: value}}; overrides: `section.key=value` texts. Raises ConfigError."""
    values: dict[str, dict[str, Any]] = {name: dict(raw.get(name) or {}) for name in SECTIONS}
    if unknown := set(raw) - set(SECTIONS):
        raise ConfigError(f"unknown section {sorted(unknown)}; expected {sorted(SECTIONS)}")
    for text in overrides:
        path, equals, value = text.partition("=")
        section, dot, key = path.partition(".")
        if not (equals and dot and section in SECTIONS):
            raise ConfigError(f"override {text!r}; expected section.key=value with section in {sorted(SECTIONS)}")
        values[section][key] = yaml.safe_load(value)
    return Config(**{name: _section(cls, name, values[name]) for name, cls in SECTIONS.items()})


def load_config(path: Path, overrides: list[str] = []) -> Config:
    """Read a YAML file. Raises ConfigError."""
    try:
        raw = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}; expected sections {sorted(SECTIONS)}")
    return parse_config(raw, overrides)


def _section(cls: type, name: str, values: dict[str, Any]) -> Any:
    known = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := set(values) - set(known):
        raise ConfigError(f"unknown key {name}.{sorted(unknown)[0]}; expected one of {sorted(known)}")
    for key, value in values.items():
        default = known[key].default
        if isinstance(default, tuple):
            if not isinstance(value, list | tuple):
                raise ConfigError(f"{name}.{key} is {value!r}; expected a list such as {list(default)}")
            values[key] = tuple(value)
        elif isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            values[key] = float(value)
        elif type(value) is not type(default):
            raise ConfigError(f"{name}.{key} is {value!r}; expected {type(default).__name__}, such as {default!r}")
    return cls(**values)
