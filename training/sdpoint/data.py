"""Image-folder data sets held in memory as uint8."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sdpoint.config import DataConfig

PICTURES = {".webp", ".png", ".jpg", ".jpeg", ".bmp"}


class DataError(ValueError):
    """The data set is not laid out or filled as expected; the message says where and what to do."""


@dataclass(frozen=True)
class Split:
    """images: [n, h, w, 3] uint8 RGB; labels: [n] int64, an index into classes; files: paths relative to the root."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def expect_classes(self, classes: tuple[str, ...]) -> Split:
        """Itself, if these are its classes; else DataError, for their indices would mean something else."""
        if self.classes != classes:
            raise DataError(f"the data set has classes {list(self.classes)}, the network {list(classes)}")
        return self

    def subset(self, index: Tensor) -> Split:
        return Split(self.images[index], self.labels[index], self.classes, tuple(self.files[i] for i in index.tolist()))


def load_split(root: Path, part: str, size: int) -> Split:
    """Read `<root>/<part>/<class>/*`, classes and files in sorted order.

    Raises DataError if the layout is wrong, a picture cannot be read or is not size x size.
    """
    folder = root / part
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected <root>/{{train,test}}/<class>/<pictures>")
    classes = tuple(sorted(d.name for d in folder.iterdir() if d.is_dir()))
    paths = [p for c in classes for p in sorted((folder / c).iterdir()) if p.suffix.lower() in PICTURES]
    if len(classes) < 2 or not paths:
        raise DataError(f"{folder} holds {len(classes)} classes and {len(paths)} pictures; expected at least 2 classes")

    def read(path: Path) -> np.ndarray:
        try:
            pixels = np.asarray(_on_white(Image.open(path)))
        except (UnidentifiedImageError, OSError) as error:
            raise DataError(f"{path} cannot be read as a picture: {error}") from error
        if pixels.shape != (size, size, 3):
            raise DataError(f"{path} is {pixels.shape[1]}x{pixels.shape[0]}; this network takes {size}x{size}")
        return pixels

    with ThreadPoolExecutor() as pool:
        images = torch.from_numpy(np.stack(list(pool.map(read, paths))))
    labels = torch.tensor([classes.index(p.parent.name) for p in paths])
    return Split(images, labels, classes, tuple(str(p.relative_to(root)) for p in paths))


def _on_white(image: Image.Image) -> Image.Image:
    """RGB; transparency is flattened on white, as the service does (`alpha` of the manifest's resize rule)."""
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def load_training(root: Path, data: DataConfig) -> tuple[Split, Split]:
    """(trained on, held out) of `<root>/train`; the division is the same in every run. Raises DataError."""
    return hold_out(load_split(root, "train", data.size), data.held_out, seed=0)


def hold_out(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """(rest, held out): `count` pictures, equally many of each class, drawn by `seed` and left out of training."""
    if count == 0:
        return split, split.subset(torch.empty(0, dtype=torch.long))
    per_class = count // len(split.classes)
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(split), dtype=torch.bool)
    for label in range(len(split.classes)):
        members = (split.labels == label).nonzero().flatten()
        if len(members) <= per_class:
            raise DataError(f"class {split.classes[label]} has {len(members)} pictures; cannot hold out {per_class}")
        held[members[torch.randperm(len(members), generator=generator)[:per_class]]] = True
    return split.subset((~held).nonzero().flatten()), split.subset(held.nonzero().flatten())


def normalise(images: Tensor, data: DataConfig) -> Tensor:
    """[n, h, w, 3] uint8 -> [n, 3, h, w] float32 (channels last in memory): (x / 255 - mean) / std for each channel."""
    mean, std = (torch.tensor(values, device=images.device) for values in (data.mean, data.std))
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
