"""Random crops of the pictures of a store, in sets that are the same in every call.

A set has one crop of every picture. It depends only on the seed, the set's number, and the picture's place in the pool.
So the teacher's answer to a crop can be kept on the disk, and a resumed run sees what it would have seen.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sdpoint.adapt.settings import Distil
from sdpoint.adapt.store import Pool
from sdpoint.config import Config
from sdpoint.photos import KERNELS


class Request(NamedTuple):
    """A batch: the number of a set, and the places of pictures in the pool."""

    number: int
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Policy:
    """How crops are drawn. size: their side in pixels; least, blended: as in `Distil`."""

    size: int
    kernel: str
    least: float
    blended: float
    seed: int

    @classmethod
    def of(cls, config: Config, distil: Distil) -> Policy:
        data = config.data
        return cls(data.size, data.kernel, distil.crop_least, distil.blended, config.train.seed)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Crops(Dataset):
    pool: Pool
    policy: Policy

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, request: Request) -> Tensor:
        """The crops of a request, [b, size, size, 3] uint8."""
        return torch.from_numpy(np.stack([self.one(request.number, row) for row in request.rows]))

    def one(self, number: int, row: int) -> np.ndarray:
        """A picture's crop in a set, [size, size, 3] uint8.

        A share `blended` of them is mixed with another picture's crop of weight below a half (mixup, Zhang et al.
        2018). So few pictures give many examples (Beyer et al. 2022, A good teacher is patient and consistent).
        """
        chance = random.Random(f"{self.policy.seed}/{number}/{row}")
        own = self._cut(row, chance)
        if chance.random() >= self.policy.blended:
            return own
        other, weight = self._cut(chance.randrange(len(self.pool)), chance), chance.uniform(0, 0.5)
        return np.rint((1 - weight) * own.astype(np.float32) + weight * other).astype(np.uint8)

    def _cut(self, row: int, chance: random.Random) -> np.ndarray:
        """A random square of the picture, mirrored in half of all cases."""
        picture, size = self.pool[row], self.policy.size
        height, width = picture.shape[:2]
        shorter = min(height, width)
        side = chance.randint(math.ceil(self.policy.least * shorter), shorter)
        top, left = chance.randint(0, height - side), chance.randint(0, width - side)
        square = Image.fromarray(picture[top : top + side, left : left + side])
        cut = np.asarray(square.resize((size, size), KERNELS[self.policy.kernel]))
        return cut[:, ::-1] if chance.random() < 0.5 else cut

    def read(self, requests: Iterable[Request], workers: int) -> Iterator[Tensor]:
        """Yield the crops of each request, in this order. workers: processes that cut them; 0: this one does."""
        yield from DataLoader(
            self,
            batch_size=None,  # a request is a batch
            sampler=requests,
            num_workers=workers,
            prefetch_factor=2 if workers else None,
        )


def requests(count: int, batch: int, sets: int, seed: int, steps: Sequence[int]) -> Iterator[Request]:
    """The batch of each step. Each epoch takes every picture once, in an order of its own, and the next set of crops.

    count: pictures; sets: number of sets. The pictures that do not fill a batch differ from epoch to epoch.
    """
    each, order, epoch = count // batch, np.empty(0, np.int64), -1
    for step in steps:
        if step // each != epoch:
            epoch = step // each
            order = np.random.default_rng([seed, epoch]).permutation(count)
        start = step % each * batch
        yield Request(epoch % sets, tuple(order[start : start + batch].tolist()))
