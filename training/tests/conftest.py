from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from make_fixture import make_fixture
from networks import with_random_norms

from sdpoint.config import Config, DataConfig, TrainConfig, WideResNetConfig
from sdpoint.models.wrn import WideResNet
from sdpoint.run import Run

torch.set_num_threads(1)  # more threads slow tiny networks down

TINY = WideResNetConfig(depth=10, width=1, base=4)


@pytest.fixture
def config() -> Config:
    return Config(
        DataConfig(name="stripes", size=16, held_out=9),
        TINY,
        TrainConfig(epochs=2, batch=8, lr=0.05, pad=1, cutout=4, precision="float32", threads=1),
    )


@pytest.fixture
def model() -> WideResNet:
    torch.manual_seed(0)
    return with_random_norms(WideResNet(TINY, classes=3))


@pytest.fixture
def images() -> torch.Tensor:
    """Random pictures, [20, 16, 16, 3] uint8."""
    return torch.randint(256, (20, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@dataclass(frozen=True)
class Made:
    """The data set, run folder and family that train, calibrate and export made. Shared: copy before changing."""

    data: Path
    run: Run
    family: Path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    work = tmp_path_factory.mktemp("made")
    family = work / "models" / "tiny"
    make_fixture(family, work, pictures=(20, 8), overrides=("train.epochs=2", "data.held_out=9", "train.batch=8"))
    return Made(work / "data", Run(work / "run"), family)
