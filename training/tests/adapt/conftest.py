from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pictures import CLASSES, picture
from PIL import Image
from torch import Tensor

from sdpoint.cli import main
from sdpoint.config import ImageNetResNetConfig
from sdpoint.models.resnet import ImageNetResNet
from sdpoint.run import Run

SIZE = 16
SHAPES = {
    "bar": lambda x, y: (abs(y) < 1.5) & (abs(x) < 6),
    "cross": lambda x, y: ((abs(x) < 1.5) | (abs(y) < 1.5)) & (abs(x) < 6) & (abs(y) < 6),
    "disc": lambda x, y: x * x + y * y < 30,
}
ADAPTERS = Path(__file__).parents[2] / "adapters"


def write_photographs(root: Path) -> Path:
    """Photographs of various sizes, `{train,test}/<class>/*.jpg`."""
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("test", 2)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                square = Image.fromarray(picture(random, name, 96, noise=0.2))
                square.resize((90 + 10 * index, 80)).save(folder / f"{index}.jpg")
    return root


def torchvision_names(name: str) -> str:
    """The name in torchvision of a ResNet-18's tensor, from the name here."""
    pairs = (("stem.conv", "conv1"), ("stem.bn", "bn1"), ("project_bn", "downsample.1"), ("project", "downsample.0"))
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    if name.startswith("blocks."):
        _, index, rest = name.split(".", 2)
        name = f"layer{int(index) // 2 + 1}.{int(index) % 2}.{rest}"
    return name


@pytest.fixture(scope="session")
def resnet18() -> dict[str, Tensor]:
    """A file with a state dict in the layout of torchvision, with random weights and three classes."""
    torch.manual_seed(0)
    state = ImageNetResNet(ImageNetResNetConfig(depth=18), 3).state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    return {torchvision_names(name): value for name, value in state.items()}


def write_adapter(folder: Path, state: dict[str, Tensor], **changes) -> Path:
    """Write an adapter with the renaming rules of the shipped one, for small pictures of three classes.

    changes: keys for section `adapter`.
    """
    raw = yaml.safe_load((ADAPTERS / "torchvision-resnet.yaml").read_text())
    raw["data"] |= {"name": "stripes", "size": 64, "resize": 72, "held_out": 6}
    raw["model"]["depth"] = 18
    raw["train"] = {"epochs": 1, "batch": 8, "lr": 0.001, "threads": 1}
    raw["adapter"] |= {"weights": "weights.pth", "classes": "classes.txt", **changes}
    torch.save(state, folder / "weights.pth")
    (folder / "classes.txt").write_text("".join(f"{name} {name} stripes\n" for name in CLASSES))
    (folder / "adapter.yaml").write_text(yaml.safe_dump(raw))
    return folder / "adapter.yaml"


@pytest.fixture
def resnet_adapter(tmp_path, resnet18) -> Callable[..., Path]:
    return lambda **changes: write_adapter(tmp_path, resnet18, **changes)


@dataclass(frozen=True)
class Adapted:
    """A ResNet-18 with random weights after `sdpoint adapt`. Shared by tests, which do not change it."""

    run: Run
    photographs: Path
    adapter: Path
    about: Path


@pytest.fixture(scope="session")
def adapted(tmp_path_factory, resnet18) -> Adapted:
    work = tmp_path_factory.mktemp("adapted")
    photographs, adapter = write_photographs(work / "photographs"), write_adapter(work, resnet18)
    words = ["--adapter", adapter, "--pictures", photographs / "train", "--run", work / "run"]
    words += ["--set", "system.points=[1, 4]", "--variants", 1, "--labelled", photographs / "test"]
    assert main(["adapt", *map(str, words)]) == 0
    about = work / "about.yaml"
    about.write_text("source: nobody, random weights\n")
    return Adapted(Run(work / "run"), photographs, adapter, about)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """Pictures of shapes, `{train,test}/<shape>/*.png`: 120 and 20 of each, in random colours and near the middle."""
    random, root = np.random.default_rng(0), tmp_path_factory.mktemp("shapes")
    for part, count in (("train", 120), ("test", 20)):
        for name, inside in SHAPES.items():
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + random.uniform(-2, 2, (2, 1, 1))
                picture = np.where(inside(x, y)[..., None], random.uniform(0.6, 1, 3), random.uniform(0, 0.4, 3))
                noisy = (picture + random.normal(0, 0.05, picture.shape)).clip(0, 1)
                Image.fromarray((noisy * 255).astype(np.uint8)).save(folder / f"{index}.png")
    return root
