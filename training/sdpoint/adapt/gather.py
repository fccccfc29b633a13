"""Finds the pictures of several folders, and divides them into those to learn from and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import torch

from sdpoint.config import DataConfig
from sdpoint.data import DataError, Split, hold_out, load_pictures


@dataclass(frozen=True)
class Gathered:
    """Files of pictures. labels do not matter. learned: to learn from; held_out: to measure on."""

    learned: tuple[Path, ...]
    held_out: tuple[Path, ...]


def gather(
    folders: Sequence[Path], without: Sequence[str], data: DataConfig, held_out: int, repeat: int = 1
) -> Gathered:
    """All pictures in the folders and their subfolders.

    without: patterns of paths below a folder, such as `BACKGROUND_Google/*`, which are left out. data.held_out pictures
    of the first folder are held out, the same as `load_training` holds out, so that export finds them again. Of the
    other folders `held_out` are, in proportion to their pictures. repeat: how often the pictures of the first folder
    are among those to learn from. Raises DataError.
    """
    first, *others = (listed(folder, without, data) for folder in folders)
    counts = _shares(held_out, [len(split) for split in others])
    divided = [hold_out(first, data.held_out, seed=0)]
    divided += [hold_out(_unlabelled(split), count, seed=0) for split, count in zip(others, counts, strict=True)]
    learned: list[Path] = []
    held: list[Path] = []
    for folder, (rest, kept) in zip(folders, divided, strict=True):
        times = repeat if not learned else 1
        learned += [folder / file for file in rest.files] * times
        held += [folder / file for file in kept.files]
    if not learned or not held:
        raise DataError(f"{len(learned)} pictures to learn from, {len(held)} held out; expected some of both")
    return Gathered(tuple(learned), tuple(held))


def listed(folder: Path, without: Sequence[str], data: DataConfig) -> Split:
    """The pictures of a folder, not read. Raises DataError if there are none."""
    split = load_pictures(folder, replace(data, loading="stream"))
    kept = [i for i, file in enumerate(split.files) if not any(fnmatch(file, pattern) for pattern in without)]
    if not kept:
        raise DataError(f"{folder} holds only pictures that are left out (--without)")
    return split if len(kept) == len(split) else split.subset(torch.tensor(kept))


def _unlabelled(split: Split) -> Split:
    return replace(split, labels=torch.zeros_like(split.labels), classes=("",))


def _shares(total: int, counts: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `counts`, rounded so that the sum stays `total`."""
    whole, given, shares = sum(counts), 0, []
    for k, _ in enumerate(counts):
        upto = round(total * sum(counts[: k + 1]) / whole)
        shares.append(upto - given)
        given = upto
    return shares


def some(files: Sequence[Path], count: int, seed: int) -> tuple[Path, ...]:
    """`count` of the files, drawn at random and in random order; all of them if count is 0 or there are fewer."""
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed))
    return tuple(files[i] for i in order[: count or None].tolist())
