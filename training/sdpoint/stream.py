"""Pictures that are read from the disk batch by batch, by worker processes: for data sets larger than memory."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sdpoint.config import DataConfig
from sdpoint.photos import KERNELS, DataError, opened, seen

Request = tuple[list[int], list[int] | None]
"""A batch: indices of pictures, and, for training, a seed for the augmentation of each picture."""

RATIOS = 3 / 4, 4 / 3  # smallest and largest width / height of a random crop
TRIES = 10  # random crops that are tried; if none fits into the picture, the largest centred one is taken


class PictureFiles:
    """Pictures on the disk, read each time they are needed; stands for the tensor [n, size, size, 3] of a `Split`.

    It has only the methods of a tensor that evaluation and calibration use.
    """

    def __init__(self, paths: Sequence[str], data: DataConfig) -> None:
        self.paths, self.data = paths, data

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: Tensor | slice) -> PictureFiles:
        chosen = torch.arange(len(self))[index].tolist()
        return PictureFiles([self.paths[i] for i in chosen], self.data)

    def split(self, count: int) -> Iterator[Tensor]:
        """Yield all pictures in batches [count, size, size, 3] uint8, preprocessed for evaluation. Raises DataError."""
        return self.read((list(range(len(self))[start : start + count]), None) for start in range(0, len(self), count))

    def in_memory(self) -> Tensor:
        """All pictures, [n, size, size, 3] uint8, preprocessed for evaluation. Raises DataError."""
        return torch.cat(list(self.split(250)))

    def read(self, requests: Iterable[Request], least: float = 1.0) -> Iterator[Tensor]:
        """Yield a tensor [b, size, size, 3] uint8 for each request, in their order. least: as in `random_crop`.

        Raises DataError, with the path, if a picture cannot be read.
        """
        workers = self.data.workers
        loader = DataLoader(
            _Reader(self.paths, self.data, least),
            batch_size=None,  # a request is a batch
            sampler=requests,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
        )
        for images in loader:
            if isinstance(images, DataError):
                raise images
            yield images


class _Reader(Dataset):
    def __init__(self, paths: Sequence[str], data: DataConfig, least: float) -> None:
        self.paths, self.data, self.least = paths, data, least

    def __getitem__(self, request: Request) -> Tensor | DataError:
        """Read a batch.

        Returns the error instead of raising it, because a worker process would hide its message in a traceback.
        """
        index, seeds = request
        try:
            if seeds is None:
                pictures = [seen(self.paths[i], self.data) for i in index]
            else:
                pictures = [self.random(i, seed) for i, seed in zip(index, seeds, strict=True)]
        except DataError as error:
            return error
        return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))

    def random(self, index: int, seed: int) -> Image.Image:
        chance, image, size = random.Random(seed), opened(self.paths[index]), self.data.size
        box = random_crop(*image.size, self.least, chance)
        image = image.resize((size, size), KERNELS[self.data.kernel], box)
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else image


def random_crop(width: int, height: int, least: float, chance: random.Random) -> tuple[int, int, int, int]:
    """Draw a random crop (left, top, right, bottom) of a picture (Szegedy et al. 2015, arXiv 1409.4842, section 6).

    The share of the picture's area is uniform in `least` to 1. The logarithm of width / height is uniform between those
    of 3/4 and 4/3.
    """
    for _ in range(TRIES):
        area = width * height * chance.uniform(least, 1)
        ratio = math.exp(chance.uniform(*map(math.log, RATIOS)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = chance.randint(0, width - w), chance.randint(0, height - h)
            return left, top, left + w, top + h
    w, h = min(width, round(height * RATIOS[1])), min(height, round(width / RATIOS[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
