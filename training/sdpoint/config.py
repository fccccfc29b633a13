"""The configuration of a run. Every key has a default and a comment; an unknown key raises ConfigError."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

KERNELS = ("linear", "cubic", "lanczos3")  # resize kernels that the service and training both support
SYSTEMS = ("sdpoint", "plain", "exits", "scales", "sact", "twice")
SAMPLINGS = ("uniform", "gap")
POOLINGS = ("average", "linear")
DISTILL_MODES = ("together", "alternately")
LOADINGS = ("memory", "stream")
SCHEDULES = ("one-cycle", "step")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
DEVICES = ("cpu", "cuda")


class ConfigError(ValueError):
    """An invalid configuration; the message names the key and the expected value."""


def _expect(holds: bool, key: str, value: Any, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{key} is {value!r}; expected {expected}")


def _one_of(value: str, key: str, names: Sequence[str]) -> None:
    _expect(value in names, key, value, f"one of {list(names)}")


@dataclass(frozen=True)
class DataConfig:
    name: str = "cifar10"  # the family's and the data set's name
    size: int = 32  # height and width of a picture
    mean: tuple[float, ...] = (0.4914, 0.4822, 0.4465)  # of the training set, RGB in 0..1
    std: tuple[float, ...] = (0.2470, 0.2435, 0.2616)
    held_out: int = 5000  # training pictures that are not trained on: for development and to fit temperatures
    resize: int = 0  # the shorter side is resized to this, then the centred square cropped; 0: pictures are size x size
    kernel: str = "cubic"  # resize kernel: linear, cubic or lanczos3
    loading: str = "memory"  # "stream": pictures are read from the disk each time, for data sets larger than memory
    workers: int = 4  # stream: reading processes for each training process; 0: the training process reads

    def __post_init__(self) -> None:
        _expect(self.size >= 8, "data.size", self.size, "at least 8 pixels")
        _expect(len(self.mean) == len(self.std) == 3, "data.mean, data.std", (self.mean, self.std), "three channels")
        _expect(min(self.std) > 0, "data.std", self.std, "above 0")
        _expect(self.held_out >= 0, "data.held_out", self.held_out, "0 or more pictures")
        _expect(self.resize == 0 or self.resize >= self.size, "data.resize", self.resize, "0, or at least data.size")
        _one_of(self.kernel, "data.kernel", KERNELS)
        _one_of(self.loading, "data.loading", LOADINGS)
        _expect(self.workers >= 0, "data.workers", self.workers, "0 or more processes")


IMAGENET_BLOCKS = {  # depth -> residual blocks in each of four groups; He et al. 2015, arXiv 1512.03385, table 1
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


@dataclass(frozen=True)
class ModelConfig:
    """Keys that all kinds of networks have. `model.kind` selects one of the subclasses."""

    kind: str = field(default="", init=False)
    ratios: tuple[float, ...] = (0.5, 0.75)  # R, paper section 4
    pooling: str = "average"  # kind of downsampling D; "linear" for networks trained without D; sdpoint/downsample.py

    def __post_init__(self) -> None:
        distinct = len({round(r * 1000) for r in self.ratios}) == len(self.ratios) > 0  # ids have three decimals
        _expect(distinct and all(0 < r < 1 for r in self.ratios), "model.ratios", self.ratios, "different, in (0, 1)")
        _one_of(self.pooling, "model.pooling", POOLINGS)
        for key in ("width", "base", "cardinality", "growth"):
            _expect(getattr(self, key, 1) >= 1, f"model.{key}", getattr(self, key, 1), "1 or more")

    def _expect_depth(self, depth: int, layers: int, others: int) -> None:
        """Check the depth of a network with three groups of n blocks, `layers` layers each, and `others` more layers.

        At most 99 blocks, because ids have two digits for p.
        """
        each = 3 * layers
        expected = f"{each} n + {others} with n in 1 to 33: {each + others}, {2 * each + others}, ..."
        _expect(depth % each == others and 1 <= depth // each <= 33, "model.depth", depth, expected)


@dataclass(frozen=True)
class WideResNetConfig(ModelConfig):
    kind: str = field(default="wrn", init=False)
    depth: int = 16  # 6 n + 4: n residual blocks in each of three groups
    width: int = 2  # multiplies the channels of every group
    base: int = 16  # channels of the stem, and of the first group before widening; smaller in tests

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_depth(self.depth, layers=2, others=4)


@dataclass(frozen=True)
class PreResNetConfig(ModelConfig):
    kind: str = field(default="preresnet", init=False)
    depth: int = 20  # 6 n + 2, with bottleneck blocks 9 n + 2: n blocks in each of three groups
    bottleneck: bool = False  # bottleneck blocks; usual from depth 164 on

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_depth(self.depth, layers=3 if self.bottleneck else 2, others=2)


@dataclass(frozen=True)
class ResNeXtConfig(ModelConfig):
    kind: str = field(default="resnext", init=False)
    depth: int = 29  # 9 n + 2: n blocks in each of three groups
    cardinality: int = 8  # groups of the 3x3 convolutions
    width: int = 64  # channels of each group of a convolution, in the first group of blocks (8x64d)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_depth(self.depth, layers=3, others=2)


@dataclass(frozen=True)
class DenseNetConfig(ModelConfig):
    kind: str = field(default="densenet", init=False)
    depth: int = 100  # 6 n + 4: n bottleneck layers in each of three dense blocks
    growth: int = 12  # channels that each layer adds; k in the paper

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_depth(self.depth, layers=2, others=4)


@dataclass(frozen=True)
class _ImageNetDepth(ModelConfig):
    depth: int = 50  # basic blocks below depth 50, bottleneck blocks from 50 on

    def __post_init__(self) -> None:
        super().__post_init__()
        _expect(self.depth in IMAGENET_BLOCKS, "model.depth", self.depth, f"one of {sorted(IMAGENET_BLOCKS)}")


@dataclass(frozen=True)
class ImageNetPreResNetConfig(_ImageNetDepth):
    kind: str = field(default="preresnet-imagenet", init=False)


@dataclass(frozen=True)
class ImageNetResNeXtConfig(ModelConfig):
    kind: str = field(default="resnext-imagenet", init=False)
    depth: int = 50
    cardinality: int = 32
    width: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        depths = [depth for depth in IMAGENET_BLOCKS if depth >= 50]
        _expect(self.depth in depths, "model.depth", self.depth, f"one of {depths}")


@dataclass(frozen=True)
class ImageNetResNetConfig(_ImageNetDepth):
    kind: str = field(default="resnet-imagenet", init=False)


@dataclass(frozen=True)
class EfficientNetLiteConfig(ModelConfig):
    kind: str = field(default="efficientnet-lite", init=False)
    variant: int = 0  # 0, 1 or 2; for pictures of 224, 240 and 260 pixels

    def __post_init__(self) -> None:
        super().__post_init__()
        _expect(self.variant in (0, 1, 2), "model.variant", self.variant, "0, 1 or 2")


KINDS = {
    cls.kind: cls
    for cls in (
        WideResNetConfig,
        PreResNetConfig,
        ResNeXtConfig,
        DenseNetConfig,
        ImageNetPreResNetConfig,
        ImageNetResNeXtConfig,
        ImageNetResNetConfig,
        EfficientNetLiteConfig,
    )
}


@dataclass(frozen=True)
class TrainConfig:
    epochs: int = 60
    batch: int = 128
    schedule: str = "one-cycle"  # schedule of the learning rate: one-cycle or step; sdpoint/schedule.py
    lr: float = 0.2  # peak learning rate (one-cycle), or initial one (step)
    warmup: float = 0.1  # one-cycle: share of the run in which the rate rises; afterwards it falls as a half cosine
    milestones: tuple[int, ...] = ()  # step: epochs after which the rate is multiplied by `decay`
    decay: float = 0.1  # step: factor on the rate at each milestone
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    pad: int = 4  # pixels of padding for random crops; only with loading: memory
    cutout: int = 8  # side of the square that is blanked, in pixels; 0: none; only with loading: memory
    crop_least: float = 0.08  # smallest share of a picture's area in a random crop; only with loading: stream
    distill_from: float = 1.0  # share of the epochs after which instances are distilled from `full`; 1: never
    distill_temperature: float = 3.0  # temperature of both softmaxes in the distillation loss
    distill_weight: float = 0.9  # weight of the distillation loss; the loss by the labels has 1 - this
    distill_mode: str = "together"  # one step trains both; "alternately": `full` and the instance in turn
    average: float = 0.0  # decay of the moving average of the weights, which is then the result of the run; 0: none
    look_every: int = 10  # epochs between rough evaluations on held-out pictures, which take time; 0: none
    precision: str = "auto"  # number type of forward passes; auto: bfloat16 if the device has it; float16: only on cuda
    device: str = "cpu"  # or "cuda"; an error if it is not available
    seed: int = 1
    threads: int = 2  # threads of each training process
    checkpoint_minutes: float = 10.0  # minutes between checkpoints within an epoch; 0: only after each epoch

    def __post_init__(self) -> None:
        for key in ("epochs", "batch", "threads"):
            _expect(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "1 or more")
        for key in ("warmup", "decay", "crop_least", "distill_from", "distill_weight", "label_smoothing", "average"):
            _expect(0 <= getattr(self, key) <= 1, f"train.{key}", getattr(self, key), "a share in 0 to 1")
        _expect(self.lr > 0, "train.lr", self.lr, "above 0")
        _expect(self.average < 1, "train.average", self.average, "below 1: such a decay never moves")
        _expect(self.look_every >= 0, "train.look_every", self.look_every, "0 or more epochs")
        _expect(self.distill_temperature > 0, "train.distill_temperature", self.distill_temperature, "above 0")
        _one_of(self.distill_mode, "train.distill_mode", DISTILL_MODES)
        _one_of(self.schedule, "train.schedule", SCHEDULES)
        _one_of(self.precision, "train.precision", PRECISIONS)
        _one_of(self.device, "train.device", DEVICES)
        _expect(
            self.precision != "float16" or self.device == "cuda", "train.precision", self.precision, "that on cuda only"
        )
        ascending = all(type(k) is int for k in self.milestones) and sorted({*self.milestones}) == [*self.milestones]
        _expect(ascending, "train.milestones", self.milestones, "epochs, ascending")
        _expect(
            bool(self.milestones) == (self.schedule == "step"), "train.milestones", self.milestones, "some with `step`"
        )
        _expect(self.checkpoint_minutes >= 0, "train.checkpoint_minutes", self.checkpoint_minutes, "0 or more")


@dataclass(frozen=True)
class SystemConfig:
    name: str = "sdpoint"  # how the network is trained: one of SYSTEMS; a file for each in sdpoint/systems/
    points: tuple[int, ...] = ()  # sdpoint: points at which instances may downsample; empty: all points
    instances: tuple[str, ...] = ()  # sdpoint: ids of the instances, of those of points and ratios; empty: all of them
    sampling: str = "uniform"  # sdpoint: how points are drawn; "gap": more often if few others cost about the same
    weights: tuple[float, ...] = ()  # sdpoint: relative frequencies of 0 (`full`) and of each point; replace `sampling`
    exits: tuple[int, ...] = ()  # exits: blocks with an exit, from 1; empty: at 1/4, 1/2 and 3/4 of the blocks
    exit_weight: float = 1.0  # exits: weight of each exit's loss; the loss of the last classifier has weight 1
    scales: tuple[float, ...] = (0.5, 0.625, 0.75, 0.875)  # scales: of a picture's sides; 1 is added
    tau: float = 0.01  # sact: weight of the ponder cost; a higher one stops earlier and lowers accuracy
    thresholds: tuple[float, ...] = (0.25, 0.5, 0.75)  # sact: cheaper halting thresholds; trained with 0.99

    def __post_init__(self) -> None:
        _one_of(self.name, "system.name", SYSTEMS)
        _one_of(self.sampling, "system.sampling", SAMPLINGS)
        for key in ("points", "exits"):
            value = getattr(self, key)
            ordered = all(type(k) is int for k in value) and sorted({*value, 0}) == [0, *value]
            _expect(ordered, f"system.{key}", value, "whole numbers from 1, ascending")
        weighted = all(type(w) in (int, float) and w > 0 for w in self.weights)
        _expect(
            weighted, "system.weights", self.weights, "numbers above 0: a point that is never drawn is never trained"
        )
        _expect(
            not self.weights or self.sampling == "uniform", "system.sampling", self.sampling, "no weights beside it"
        )
        _expect(self.exit_weight > 0, "system.exit_weight", self.exit_weight, "above 0")
        _expect(self.tau >= 0, "system.tau", self.tau, "0 or more")
        for key in ("scales", "thresholds"):
            value = getattr(self, key)
            distinct = len({round(v * 1000) for v in value}) == len(value)  # ids have three decimals
            _expect(distinct and all(0 < v < 1 for v in value), f"system.{key}", value, "different, in (0, 1)")
        _expect(
            max(self.thresholds, default=0) < 0.99, "system.thresholds", self.thresholds, "below 0.99, which is `full`"
        )


@dataclass(frozen=True)
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=WideResNetConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    system: SystemConfig = field(default_factory=SystemConfig)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


SECTIONS = {"data": DataConfig, "model": ModelConfig, "train": TrainConfig, "system": SystemConfig}


def parse_config(raw: dict[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Build and check a configuration. raw: {section: {key: value}}; overrides: texts `section.key=value`.

    Raises ConfigError.
    """
    if unknown := set(raw) - set(SECTIONS):
        raise ConfigError(f"unknown section {sorted(unknown)}; expected {sorted(SECTIONS)}")
    if wrong := [name for name, section in raw.items() if not isinstance(section, dict | None)]:
        raise ConfigError(f"section {wrong[0]} is {raw[wrong[0]]!r}; expected keys and values")
    values: dict[str, dict[str, Any]] = {name: dict(raw.get(name) or {}) for name in SECTIONS}
    for text in overrides:
        path, equals, value = text.partition("=")
        section, dot, key = path.partition(".")
        if not (equals and dot and section in SECTIONS):
            raise ConfigError(f"override {text!r}; expected section.key=value with section in {sorted(SECTIONS)}")
        values[section][key] = yaml.safe_load(value)
    _renew(values["train"])
    kind = values["model"].pop("kind", WideResNetConfig.kind)
    if kind not in list(KINDS):
        raise ConfigError(f"model.kind is {kind!r}; expected one of {list(KINDS)}")
    classes = {**SECTIONS, "model": KINDS[kind]}
    return Config(**{name: typed(cls, values[name], f"{name}.") for name, cls in classes.items()})


def _renew(train: dict[str, Any]) -> None:
    """Replace the keys of older configurations and checkpoints by today's keys, in place."""
    if "bfloat16" in train:
        old = train.pop("bfloat16")
        _expect(type(old) is bool, "train.bfloat16", old, "true or false; today's key is train.precision")
        train.setdefault("precision", "bfloat16" if old else "float32")


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration from a YAML file. overrides: texts `section.key=value`. Raises ConfigError."""
    return parse_config(load_yaml(path), overrides)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises ConfigError if the file cannot be read or holds anything else."""
    try:
        raw = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} holds {type(raw).__name__}; expected keys and values")
    return raw


def typed(cls: type, values: dict[str, Any], prefix: str = "") -> Any:
    """Build a dataclass from plain values, which must have the types of its defaults.

    prefix: put before a key's name in messages. Raises ConfigError.
    """
    defaults = {f.name: f.default for f in dataclasses.fields(cls) if f.init}
    if unknown := set(values) - set(defaults):
        raise ConfigError(f"unknown key {prefix}{sorted(unknown)[0]}; expected one of {sorted(defaults)}")
    return cls(**{key: _like(defaults[key], value, prefix + key) for key, value in values.items()})


def _like(default: Any, value: Any, key: str) -> Any:
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{key} is {value!r}; expected a list such as {list(default)}")
        return tuple(_like(default[0], item, key) for item in value) if default else tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ConfigError(f"{key} is {value!r}; expected {type(default).__name__}, such as {default!r}")
    return value
