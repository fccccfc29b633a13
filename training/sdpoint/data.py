"""Image-folder data sets, held in memory as uint8 or read from the disk when needed (sdpoint/stream.py)."""

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
    """Labelled pictures.

    images: [n, h, w, 3] uint8 RGB; labels: [n] int64, indices of classes; files: paths from the root.
    """

    images: Tensor | PictureFiles
    labels: Tensor
    classes: tuple[str, ...]
    files: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def expect_classes(self, classes: tuple[str, ...]) -> Split:
        """The same pictures, with labels that are indices of `classes`. Raises DataError if it has another class."""
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

    The folder of the test part may be called `val`, as in ImageNet. Raises DataError if the layout is wrong, if a
    picture cannot be read, or if data.resize is 0 and a picture is not data.size x data.size. Pictures that stay on the
    disk are checked only when they are read.
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
    """Read all pictures in a folder and its subfolders; the names of the subfolders serve as classes.

    The order is that of `load_split`, so that `hold_out` divides both in the same way. Raises DataError.
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
    """Read `<root>/train`; returns (pictures to train on, held-out pictures), divided the same way in every run.

    Raises DataError.
    """
    return hold_out(load_split(root, "train", data), data.held_out, seed=0)


def hold_out(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Divide a split into (the rest, `count` held-out pictures), drawn at random by `seed`.

    The same number is drawn from each class. If count is less than the number of classes, it is drawn from all pictures
    together. Raises DataError if a class has too few pictures.
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
    """The pictures as [n, size, size, 3] uint8, read from the disk if they are not in memory. Raises DataError."""
    return images.in_memory() if isinstance(images, PictureFiles) else images


@lru_cache
def _colours(data: DataConfig, device: torch.device) -> tuple[Tensor, Tensor]:
    """The data's (mean, std), [3] each. Cached, because a transfer to a GPU for every batch would delay training."""
    return torch.tensor(data.mean, device=device), torch.tensor(data.std, device=device)


def normalise(images: Tensor, data: DataConfig) -> Tensor:
    """(x / 255 - mean) / std for each channel: [n, h, w, 3] uint8 -> [n, 3, h, w] float32, channels last in memory."""
    mean, std = _colours(data, images.device)
    return ((images.float() / 255 - mean) / std).permute(0, 3, 1, 2)
