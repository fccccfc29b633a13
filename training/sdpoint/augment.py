"""Augmentation of whole batches, of pictures that are in memory or of photographs that are on the disk.

All chance is in `draw`, for the whole batch: processes that share one draw alike, and each applies its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from sdpoint.config import DataConfig
from sdpoint.data import normalise
from sdpoint.stream import PictureFiles

Draws = tuple[Tensor, ...]
"""What was drawn for each picture of a batch: tensors [b, ...]."""


class Augmenter:
    """Random crop of a reflect-padded picture, flip and cutout, each drawn anew for every picture of a batch."""

    def __init__(self, images: Tensor, data: DataConfig, pad: int, cutout: int) -> None:
        """images: [n, size, size, 3] uint8, on the device that is to do it."""
        self.data, self.pad, self.cutout, self.device, size = data, pad, cutout, images.device, data.size
        chw = images.permute(0, 3, 1, 2).contiguous()
        padded = torch.nn.functional.pad(chw.float(), (pad,) * 4, mode="reflect").to(torch.uint8) if pad else chw
        # [n, rows, columns, 3, size, size]: every crop of every picture, as a view
        self.crops = padded.unfold(2, size, 1).unfold(3, size, 1).permute(0, 2, 3, 1, 4, 5)

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """(place of the crop [b, 2], whether it is flipped [b], and with cutout the centre of the hole [b, 2])."""
        draws = [torch.randint(2 * self.pad + 1, (2, count), generator=generator).T]
        draws.append(torch.rand(count, generator=generator) < 0.5)
        if self.cutout:
            draws.append(torch.randint(self.data.size, (2, count), generator=generator).T)
        return tuple(draws)

    def __call__(self, index: Tensor, draws: Draws) -> Tensor:
        """index: [b] int64 -> [b, 3, size, size] float32, normalised, channels last in memory; on its own device."""
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
        """(index, draws) -> what a call gives.

        Made when it is wanted: that takes about a millisecond. Made ahead in a thread of its own, it would take the CPU
        from one of the threads that train, and the others wait for that one.
        """
        return (self(index, draws) for index, draws in requests)


class PhotoAugmenter:
    """A random crop of any size and flip of each photograph, made by the worker processes that read it."""

    def __init__(self, pictures: PictureFiles, data: DataConfig, least: float) -> None:
        """least: share of a picture's area that a crop shows at least."""
        self.pictures, self.data, self.least = pictures, data, least

    def draw(self, count: int, generator: torch.Generator) -> Draws:
        """(a seed for each picture [b])."""
        return (torch.randint(2**62, (count,), generator=generator),)

    def batches(self, requests: Iterable[tuple[Tensor, Draws]]) -> Iterator[Tensor]:
        """(index, draws) -> [b, 3, size, size] float32, normalised, channels last in memory. Raises DataError."""
        seeded = ((index.tolist(), seeds.tolist()) for index, (seeds,) in requests)
        for images in self.pictures.read(seeded, self.least):
            yield normalise(images, self.data)
