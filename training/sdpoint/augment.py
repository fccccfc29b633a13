"""Augmentation of batches, for pictures in memory and for photographs on the disk.

`draw` draws all random numbers for a whole batch. In distributed training every process draws the same numbers and
applies the rows of its own share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from sdpoint.config import DataConfig
from sdpoint.data import normalise
from sdpoint.stream import PictureFiles

Draws = tuple[Tensor, ...]
"""The random numbers for a batch of b pictures: tensors [b, ...]."""


class Augmenter:
    """Random crop of a reflect-padded picture, random flip and cutout, drawn for each picture."""

    def __init__(self, images: Tensor, data: DataConfig, pad: int, cutout: int) -> None:
        """images: [n, size, size, 3] uint8, on the device that augments; pad, cutout: pixels, 0 for none."""
        self.data, self.pad, self.cutout, self.device, size = data, pad, cutout, images.device, data.size
        chw = images.permute(0, 3, 1, 2).contiguous()
        padded = torch.nn.functional.pad(chw.float(), (pad,) * 4, mode="reflect").to(torch.uint8) if pad else chw
        # [n, rows, columns, 3, size, size]: every crop of every picture, as a view
        self.crops = padded.unfold(2, size, 1).unfold(3, size, 1).permute(0, 2, 3, 1, 4, 5)

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """Draw (row and column of a crop [b, 2], whether to flip [b], with cutout the centre of the hole [b, 2])."""
        draws = [torch.randint(2 * self.pad + 1, (2, count), generator=generator).T]
        draws.append(torch.rand(count, generator=generator) < 0.5)
        if self.cutout:
            draws.append(torch.randint(self.data.size, (2, count), generator=generator).T)
        return tuple(draws)

    def __call__(self, index: Tensor, draws: Draws) -> Tensor:
        """Augment the pictures index [b] int64 to [b, 3, size, size] float32, normalised, channels last in memory."""
        index, place, flip, *centre = (drawn.to(self.device, non_blocking=True) for drawn in (index, *draws))
        images = self.crops[index, place[:, 0], place[:, 1]]
        images = torch.where(flip[:, None, None, None], images.flip(-1), images)  # a mask as index would wait for a GPU
        batch = normalise(images.permute(0, 2, 3, 1), self.data)
        if centre:
            line = torch.arange(self.data.size, device=self.device)
            sides = line - centre[0][..., None] + self.cutout // 2  # [b, 2, size]
            inside = (sides >= 0) & (sides < self.cutout)
            hole = inside[:, 0, None, :, None] & inside[:, 1, None, None, :]
            batch = batch.masked_fill(hole, 0)  # the mean colour
        return batch.contiguous(memory_format=torch.channels_last)

    def batches(self, requests: Iterable[tuple[Tensor, Draws]]) -> Iterator[Tensor]:
        """Yield the augmented batch of each (index, draws), as `__call__` returns it.

        A batch is computed when it is asked for, which takes about a millisecond. Computing it ahead in another thread
        would take a CPU from one of the training threads, and the other training threads would wait for that one.
        """
        return (self(index, draws) for index, draws in requests)


class PhotoAugmenter:
    """A random crop of varying size and a random flip of each photograph, computed by the processes that read it."""

    def __init__(self, pictures: PictureFiles, data: DataConfig, least: float) -> None:
        """least: smallest share of a picture's area that a crop may show, in (0, 1]."""
        self.pictures, self.data, self.least = pictures, data, least

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """Draw (a seed for each picture [b])."""
        return (torch.randint(2**62, (count,), generator=generator),)

    def batches(self, requests: Iterable[tuple[Tensor, Draws]]) -> Iterator[Tensor]:
        """Yield [b, 3, size, size] float32, normalised, channels last, for each (index, draws).

        Raises DataError if a picture cannot be read.
        """
        seeded = ((index.tolist(), seeds.tolist()) for index, (seeds,) in requests)
        for images in self.pictures.read(seeded, self.least):
            yield normalise(images, self.data)
