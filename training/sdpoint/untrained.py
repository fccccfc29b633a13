"""Writes a family with random weights, for benchmarks of memory and latency.

The service loads it like any other family. Memory and latency are those of a trained network of the same kind. Its
answers mean nothing, and its model card says so.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdpoint.calibrate import calibrate
from sdpoint.checkpoint import Trained
from sdpoint.config import Config, ConfigError
from sdpoint.data import Split
from sdpoint.export.about import About, load_about
from sdpoint.export.family import Sources, export_family, refuse_place
from sdpoint.models import Network, build_model
from sdpoint.run import Run, commit, versions
from sdpoint.systems import build_system

CELLS = (
    1,
    4,
    16,
    32,
)  # sides of the uniform squares in generated pictures, in pixels: from noise to patches as in photographs


def export_random(config: Config, classes: int, out: Path, replace: bool = False) -> Path:
    """Write the family to `out`, as `export_family` does. All random numbers depend on `train.seed`.

    Raises ConfigError, ExportError, or FileExistsError if `out` exists and `replace` is off.
    """
    if classes < 2:
        raise ConfigError(f"{classes} classes; expected 2 or more")
    if config.system.name != "sdpoint":
        raise ConfigError(f"system.name is {config.system.name!r}; only instances of sdpoint can be exported")
    refuse_place(out.absolute(), replace)  # before the work
    trained, pictures = draw(config, classes)
    about = About(
        description=f"For benchmarks of memory and latency only: {trained.model.name} with random weights. Its answers "
        "mean nothing, and its accuracy is that of a guess.",
        source=f"random, never trained; drawn with training/ of this repository, seed {config.train.seed}",
        limits=("The weights are random: good for measuring memory and latency, and for nothing else.",),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        run.log("start", commit=commit(), versions=versions(), pictures=len(pictures))
        _, license_text = load_about(None, run)  # the licence of this repository
        sources = Sources(trained, run, about, license_text, held_out=pictures, open_test=None)
        return export_family(sources, out, replace)


def draw(config: Config, classes: int) -> tuple[Trained, Split]:
    """Draw (a network with random weights and statistics for each instance, the pictures of the statistics)."""
    torch.manual_seed(config.train.seed)
    model = random_network(config, classes)
    images = random_pictures(config.data.size)
    statistics = calibrate(model, build_system(config, classes).configurations, images, config.data)
    digits = len(str(classes - 1))
    names = tuple(f"class {k:0{digits}d}" for k in range(classes))
    labels = torch.zeros(len(images), dtype=torch.long)  # without meaning
    return Trained(config, names, model, epoch=0, seconds=0.0, statistics=statistics), Split(images, labels, names, ())


def random_network(config: Config, classes: int) -> Network:
    """Draw a network in eval mode, with weights from torch's global generator.

    Convolutions and classifier are initialised as in every new network (He et al. 2015, arXiv 1502.01852), which gives
    logits of about 1. Scale and shift of the norm layers are random, too. With their initial values 1 and 0 all layers
    would be equal, and would be stored only once, unlike in a trained network.
    """
    model = build_model(config.model, classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    nn.init.kaiming_normal_(model.fc.weight, nonlinearity="relu")
    return model.eval()


def random_pictures(size: int) -> Tensor:
    """Generated pictures, [n, size, size, 3] uint8: squares of random colours, one picture for each of CELLS."""
    grids = (torch.randint(256, (1, 3, side, side)).float() for side in (-(-size // cell) for cell in CELLS))
    return torch.cat([F.interpolate(grid, (size, size)) for grid in grids]).permute(0, 2, 3, 1).to(torch.uint8)
