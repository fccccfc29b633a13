"""Image-folder data sets: held in memory as uint8, or left on the disk (sdpoint/stream.py)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sdpoint.config import DataConfig
from sdpoint.photos import DataError, seen
from sdpoint.stream import PictureFiles

PICTURES = {".webp", ".png", ".jpg", ".jpeg", ".bmp"}


@dataclass(frozen=True)
class Split:
    """images: [n, h, w, 3] uint8 RGB; labels: [n] int64, an index into classes; files: paths relative to the root."""

    images: Tensor | PictureFiles
    labels: Tensor
    classes: tuple[str, ...]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def expect_classes(self, classes: tuple[str, ...]) -> Split:
        """The same pictures, labelled by indices into `classes`. Raises DataError if it has others than these."""
        if self.classes == classes:
            return self
        if unknown := sorted(set(self.classes) - set(classes)):
            raise DataError(f"the data set has classes {unknown}, the network {_shortened(classes)}")
        index = torch.tensor([classes.index(name) for name in self.classes])
        return Split(self.images, index[self.labels], classes, self.files)

    def subset(self, index: Tensor) -> Split:
        return Split(self.images[index], self.labels[index], self.classes, tuple(self.files[i] for i in index.tolist()))


def _shortened(names: Sequence[str]) -> str:
    return str(list(names)) if len(names) <= 20 else f"{len(names)} others, such as {names[0]}"


def load_split(root: Path, part: str, data: DataConfig) -> Split:
    """Read `<root>/<part>/<class>/*`, classes and files in sorted order.

    The test part may be called `val`, as ImageNet's is. Raises DataError if the layout is wrong, a picture cannot be
    read, or is not data.size x data.size though data.resize does not say how photographs are cut; of pictures that
    stay on the disk only once they are read.
    """
    folder = root / part
    if part == "test" and not folder.exists():
        folder = root / "val" if (root / "val").is_dir() else folder
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected <root>/{{train,test}}/<class>/<pictures>")
    classes = tuple(sorted(d.name for d in folder.iterdir() if d.is_dir()))
    paths = [p for c in classes for p in sorted((folder / c).iterdir()) if p.suffix.lower() in PICTURES]
    if len(classes) < 2 or not paths:
        raise DataError(f"{folder} holds {len(classes)} classes and {len(paths)} pictures; expected at least 2 classes")

    index = {name: k for k, name in enumerate(classes)}
    labels = torch.tensor([index[p.parent.name] for p in paths])
    return Split(_pictures(paths, data), labels, classes, tuple(str(p.relative_to(root)) for p in paths))


def load_pictures(folder: Path, data: DataConfig) -> Split:
    """Pictures without labels: all of a folder and the folders in it, whose names are taken for classes.

    In the order of `load_split`, so that `hold_out` divides both alike. Raises DataError.
    """
    paths = [p for p in folder.rglob("*") if p.suffix.lower() in PICTURES]
    if not paths:
        raise DataError(f"{folder} holds no pictures")
    groups = tuple(sorted({str(p.parent.relative_to(folder)) for p in paths}))
    paths.sort(key=lambda p: (str(p.parent.relative_to(folder)), p.name))
    labels = torch.tensor([groups.index(str(p.parent.relative_to(folder))) for p in paths])
    return Split(_pictures(paths, data), labels, groups, tuple(str(p.relative_to(folder)) for p in paths))


def _pictures(paths: Sequence[Path], data: DataConfig) -> Tensor | PictureFiles:
    if data.loading == "stream":
        return PictureFiles([str(path) for path in paths], data)
    with ThreadPoolExecutor() as pool:
        return torch.from_numpy(np.stack(list(pool.map(lambda path: np.asarray(seen(path, data)), paths))))


def load_training(root: Path, data: DataConfig) -> tuple[Split, Split]:
    """(trained on, held out) of `<root>/train`; the division is the same in every run. Raises DataError."""
    return hold_out(load_split(root, "train", data), data.held_out, seed=0)


def hold_out(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """(rest, held out): `count` pictures, equally many of each class, drawn by `seed` and left out of training.

    Fewer than there are classes: drawn from all pictures, which is meant for a picture or so of each class.
    """
    if count == 0:
        return split, split.subset(torch.empty(0, dtype=torch.long))
    if count < len(split.classes):
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
        return split.subset(order[count:].sort().values), split.subset(order[:count].sort().values)
    per_class = count // len(split.classes)
    generator = torch.Generator().manual_seed(seed)
    held = torch.zeros(len(split), dtype=torch.bool)
    for label in range(len(split.classes)):
        members = (split.labels == label).nonzero().flatten()
        if len(members) <= per_class:
            raise DataError(f"class {split.classes[label]} has {len(members)} pictures; cannot hold out {per_class}")
        held[members[torch.randperm(len(members), generator=generator)[:per_class]]] = True
    return split.subset((~held).nonzero().flatten()), split.subset(held.nonzero().flatten())


def in_memory(images: Tensor | PictureFiles) -> Tensor:
    """[n, size, size, 3] uint8, read if they are on the disk. Raises DataError."""
    return images.in_memory() if isinstance(images, PictureFiles) else images


@lru_cache
def _colours(data: DataConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """(mean, std), [3] each. Sent to a GPU once: for every batch, training would wait for the transfer."""
    return torch.tensor(data.mean, device=device), torch.tensor(data.std, device=device)


def normalise(images: Tensor, data: DataConfig) -> Tensor:
    """[n, h, w, 3] uint8 -> [n, 3, h, w] float32 (channels last in memory): (x / 255 - mean) / std for each channel."""
    mean, std = _colours(data, images.device)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
