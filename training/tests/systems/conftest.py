from dataclasses import replace

import pytest
import torch

from sdpoint.config import Config, SystemConfig
from sdpoint.systems import build_system
from sdpoint.systems.base import System


@pytest.fixture
def x() -> torch.Tensor:
    """A normalised batch, [4, 3, 16, 16]."""
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 0])


@pytest.fixture
def make(config):
    """A function make(keys of `system`, train=keys, model=keys) -> a system with six blocks in three groups."""

    def made(name: str, train=None, model=None, **keys) -> System:
        changed: Config = replace(
            config,
            model=replace(config.model, **({"depth": 16} | (model or {}))),
            train=replace(config.train, **(train or {})),
            system=SystemConfig(name=name, **keys),
        )
        return build_system(changed, classes=3)

    return made


@pytest.fixture
def built():
    """A function built(system) -> its network in eval mode, with random values in the norm layers."""

    def build(system: System) -> torch.nn.Module:
        torch.manual_seed(0)
        model = system.build()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
                torch.nn.init.normal_(module.bias)
        return model.eval()

    return build
