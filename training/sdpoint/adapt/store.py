"""A store of decoded pictures: each photograph is read once and kept, small, in one file.

A crop of a large photograph costs tens of milliseconds to decode, each time. From the store it costs one to resize. The
store holds raw pixels in `pixels.bin`, and in `index.jsonl` a line for each picture: where it is, or why it is broken.
Pixels are written before their line, so that a killed call loses at most the picture under way; the next call goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, Dataset

from sdpoint.adapt.pause import Pause
from sdpoint.photos import KERNELS, DataError, on_white
from sdpoint.run import progress

LONGEST = 4 / 3  # longer side over shorter side; what exceeds it is cut off at both ends, as crops are squares
UNREADABLE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Pool:
    """Pictures of a store. files: their paths; places: [n, 3] int64: offset, height and width of each in `pixels`."""

    pixels: Path
    files: tuple[str, ...]
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        """A picture, [h, w, 3] uint8."""
        offset, height, width = self.places[index]
        return _mapped(self.pixels)[offset : offset + height * width * 3].reshape(height, width, 3)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pictures' paths and places, which identify them within the store."""
        content = hashlib.sha256("\n".join(self.files).encode())
        content.update(self.places.astype("<i8").tobytes())
        return content.hexdigest()


@lru_cache(maxsize=4)
def _mapped(path: Path) -> np.ndarray:
    """The file, mapped once in each process that reads it."""
    return np.memmap(path, np.uint8, "r")


class Store:
    """The store in `folder`, for pictures whose shorter side is at most `side` pixels."""

    def __init__(self, folder: Path, side: int, kernel: str) -> None:
        """kernel: for resizing. Smaller photographs keep their size. Sides and kernels have folders of their own."""
        self.folder, self.side, self.kernel = folder / f"pictures-{side}-{kernel}", side, kernel
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pixels, self.index = self.folder / "pixels.bin", self.folder / "index.jsonl"
        self.pixels.touch()
        self._known: dict[tuple[str, int, int], dict[str, Any]] = {}

    def fill(self, files: Sequence[Path], workers: int, pause: Pause) -> None:
        """Read the pictures that the store does not have yet. workers: processes; 0: this one reads.

        Of several runs that share a store one reads at a time.
        """
        with self._alone():
            self._known = {_key(line): line for line in self._lines()}
            self._read([path for path in files if _asked(path) not in self._known], workers, pause)
        _mapped.cache_clear()  # the file has grown

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process adds to the store."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)  # closing is not enough while a reading process has the file, too

    def _read(self, missing: Sequence[Path], workers: int, pause: Pause) -> None:
        end = max((line["offset"] + _size(line) for line in self._known.values() if "offset" in line), default=0)
        reader = DataLoader(
            _Decoder(missing, self.side, self.kernel),
            batch_size=None,
            num_workers=min(workers, len(missing)),
            prefetch_factor=8 if workers and missing else None,
        )
        read = zip(missing, reader, strict=True)
        with self.pixels.open("r+b") as pixels, self.index.open("a") as index:
            pixels.truncate(end)  # what a killed call wrote without a line
            pixels.seek(end)
            for path, picture in progress(_Sized(read, len(missing)), "pictures read"):
                line = dict(zip(("file", "bytes", "changed"), _asked(path), strict=True))
                if isinstance(picture, str):
                    line["broken"] = picture
                else:
                    height, width = picture.shape[:2]
                    pixels.write(picture.numpy().tobytes())
                    pixels.flush()
                    line |= {"offset": end, "height": height, "width": width}
                    end += _size(line)
                index.write(json.dumps(line) + "\n")
                index.flush()
                self._known[_key(line)] = line
                pause.wait()

    def pool(self, files: Sequence[Path]) -> Pool:
        """Those of the pictures that could be read, in this order. All must have been given to `fill`."""
        lines = [line for line in map(self._line, files) if "offset" in line]
        places = np.array([[line["offset"], line["height"], line["width"]] for line in lines], np.int64).reshape(-1, 3)
        return Pool(self.pixels, tuple(line["file"] for line in lines), places)

    def broken(self, files: Sequence[Path]) -> dict[str, str]:
        """Those of the pictures that could not be read, with the reason."""
        return {line["file"]: line["broken"] for line in map(self._line, files) if "broken" in line}

    def _line(self, path: Path) -> dict[str, Any]:
        return self._known[_asked(path)]

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The complete lines of the index whose pixels are there; a last line that was cut off is removed."""
        if not self.index.exists():
            return
        text, there = self.index.read_text(), self.pixels.stat().st_size
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            self.index.write_text(whole)
        for line in map(json.loads, whole.splitlines()):
            if "offset" not in line or line["offset"] + _size(line) <= there:
                yield line


def _size(line: dict[str, Any]) -> int:
    return 3 * line["height"] * line["width"]


def _key(line: dict[str, Any]) -> tuple[str, int, int]:
    return line["file"], line["bytes"], line["changed"]


def _asked(path: Path) -> tuple[str, int, int]:
    """Path, size and time of change: a file that was replaced is another picture."""
    state = path.stat()
    return str(path.absolute()), state.st_size, state.st_mtime_ns


class _Sized:
    """An iterator with a length, for progress."""

    def __init__(self, items: Iterator[Any], count: int) -> None:
        self.items, self.count = items, count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        return self.items


class _Decoder(Dataset):
    def __init__(self, paths: Sequence[Path], side: int, kernel: str) -> None:
        self.paths, self.side, self.kernel = paths, side, kernel

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor | str:
        """The picture [h, w, 3] uint8, or why it cannot be read."""
        try:
            return torch.from_numpy(shrunk(self.paths[index], self.side, self.kernel))
        except DataError as error:
            return str(error)


def shrunk(path: Path, side: int, kernel: str) -> np.ndarray:
    """Read a picture, with its shorter side reduced to `side`, [h, w, 3] uint8. Raises DataError.

    JPEG is decoded at the smallest scale that is large enough, which for photographs of a telephone is ten times
    faster. Pictures that are longer than LONGEST are cut.
    """
    try:
        image = Image.open(path)
        image.draft(None, (side, side))  # only JPEG heeds it
        image = on_white(image)
    except UNREADABLE as error:
        raise DataError(f"cannot be read as a picture: {error}") from error
    width, height = image.size
    most = round(min(width, height) * LONGEST)
    left, top = (max(0, length - most) // 2 for length in (width, height))
    box = (left, top, left + min(width, most), top + min(height, most))
    scale = min(1.0, side / min(width, height))
    size = tuple(max(1, round((end - start) * scale)) for start, end in zip(box[:2], box[2:], strict=True))
    return np.array(image.resize(size, KERNELS[kernel], box))
