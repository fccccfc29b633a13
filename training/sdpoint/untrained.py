"""A family with random weights, which is served like any other: for benchmarks of what does not depend on them.

Memory and latency are those of a trained network of the same kind. Its answers mean nothing, and it says so.
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
)  # sides of a picture's uniform squares, in pixels: from noise to patches as photographs have them


def export_random(config: Config, classes: int, out: Path, replace: bool = False) -> Path:
    """Write the family to `out` as `export_family` does. All chance comes from `train.seed`.

    Raises ConfigError, ExportError, or FileExistsError if there is one and `replace` is off.
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
        _, license_text = load_about(None, run)  # of whatever is made here
        sources = Sources(trained, run, about, license_text, held_out=pictures, open_test=None)
        return export_family(sources, out, replace)


def draw(config: Config, classes: int) -> tuple[Trained, Split]:
    """(a network with random weights and statistics for each instance, the pictures that these are of)."""
    torch.manual_seed(config.train.seed)
    model = random_network(config, classes)
    images = random_pictures(config.data.size)
    statistics = calibrate(model, build_system(config, classes).configurations, images, config.data)
    digits = len(str(classes - 1))
    names = tuple(f"class {k:0{digits}d}" for k in range(classes))
    labels = torch.zeros(len(images), dtype=torch.long)  # they show nothing
    return Trained(config, names, model, epoch=0, seconds=0.0, statistics=statistics), Split(images, labels, names, ())


def random_network(config: Config, classes: int) -> Network:
    """In eval mode. Its convolutions are drawn as those of every new network (He et al. 2015, arXiv 1502.01852).

    The classifier too, which gives logits of about 1. Scale and shift of a new network are 1 and 0 in every norm layer,
    and would be stored once for all of them, so they are drawn.
    """
    model = build_model(config.model, classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    nn.init.kaiming_normal_(model.fc.weight, nonlinearity="relu")
    return model.eval()


def random_pictures(size: int) -> Tensor:
    """[n, size, size, 3] uint8: uniformly random colours, in squares of every size of CELLS."""
    grids = (torch.randint(256, (1, 3, side, side)).float() for side in (-(-size // cell) for cell in CELLS))
    return torch.cat([F.interpolate(grid, (size, size)) for grid in grids]).permute(0, 2, 3, 1).to(torch.uint8)
