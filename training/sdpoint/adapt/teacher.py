"""The teacher of a distillation: the original network, and a cache of its answers on the disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sdpoint.adapt.settings import Distil
from sdpoint.config import Config
from sdpoint.data import normalise
from sdpoint.instance import FULL
from sdpoint.models import Network
from sdpoint.precision import autocast, chosen


class Teacher:
    """The original network as teacher.

    If it sees a crop in several ways (mirrored, in other sizes), its answer is the logarithm of the mean probability.
    """

    def __init__(self, model: Network, config: Config, distil: Distil) -> None:
        """model: in eval mode; not changed."""
        self.model, self.data, self.device = model, config.data, next(model.parameters()).device
        self.precision = chosen(config.train.precision, self.device)
        self.flips, self.scales = distil.teacher_flips, distil.teacher_scales

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits of images [n, size, size, 3] uint8, [n, classes] float32 on the CPU."""
        x = normalise(images.to(self.device), self.data)
        views = [self._logits(view) for scale in self.scales for view in self._mirrored(self._resized(x, scale))]
        if len(views) == 1:
            return views[0].cpu()
        return torch.stack([F.softmax(logits, 1) for logits in views]).mean(0).clamp_min(1e-12).log().cpu()

    def _logits(self, x: Tensor) -> Tensor:
        with autocast(self.precision, self.device):
            return self.model(x, FULL).float()

    def _resized(self, x: Tensor, scale: float) -> Tensor:
        if scale == 1:
            return x
        size = round(self.data.size * scale)
        return F.interpolate(x, (size, size), mode="bicubic", antialias=True, align_corners=False)

    def _mirrored(self, x: Tensor) -> list[Tensor]:
        return [x, x.flip(-1)] if self.flips else [x]


class Answers:
    """The teacher's answers to the crops of a pool, kept in a file for each set: a row for each picture, float16.

    A row of zeros is not known yet. Files are sparse, so that they take no more space than the rows that are known.
    """

    def __init__(self, folder: Path, asked: dict[str, Any], count: int, classes: int) -> None:
        """asked: all that the answers depend on; folder: for all caches; count: pictures in the pool."""
        text = json.dumps(asked, sort_keys=True)
        self.folder = folder / f"answers-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "asked.json").write_text(text + "\n")
        self.shape = (count, classes)
        self._open: dict[int, np.ndarray] = {}

    def of(self, number: int, rows: Sequence[int], compute: Callable[[], Tensor]) -> Tensor:
        """The answers to these crops of set `number`, [n, classes] float32; `compute` is called if any is not known.

        They are rounded to float16 whether known or not, so that a run that was killed sees the same again.
        """
        known, index = self._set(number), list(rows)
        found = known[index]
        new = ~found.any(1)
        if new.any():
            computed = compute().numpy().astype(np.float16)
            if computed.shape != found.shape:
                raise ValueError(f"answers are {computed.shape}; expected {found.shape}")
            found[new] = computed[new]
            known[np.asarray(index)[new]] = found[new]
        return torch.from_numpy(found.astype(np.float32))

    def _set(self, number: int) -> np.ndarray:
        if number not in self._open:
            path = self.folder / f"{number:03d}.f16"
            with path.open("ab") as file:
                file.truncate(self.shape[0] * self.shape[1] * 2)
            self._open[number] = np.memmap(path, np.float16, "r+", shape=self.shape)
        return self._open[number]
