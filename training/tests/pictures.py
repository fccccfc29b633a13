"""A generated image-folder data set of stripes: the class is their direction, and their width varies.

Fine stripes are lost if the map is downsampled early, so cheap instances are less accurate, as on real pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("diagonal", "horizontal", "vertical")
DIRECTIONS = {"diagonal": (0.7071, 0.7071), "horizontal": (1.0, 0.0), "vertical": (0.0, 1.0)}  # (rows, columns)


def picture(random: np.random.Generator, name: str, size: int, noise: float) -> np.ndarray:
    """Draw a picture of stripes, [size, size, 3] uint8."""
    rows, columns = np.mgrid[:size, :size]
    down, right = DIRECTIONS[name]
    wavelength, phase = random.uniform(2.1, 5), random.uniform(0, 2 * np.pi)
    stripes = np.sin(2 * np.pi * (down * rows + right * columns) / wavelength + phase)
    colour = random.uniform(0.3, 1, 3)
    values = 0.5 + 0.25 * stripes[..., None] * colour + random.normal(0, noise, (size, size, 3))
    return (values.clip(0, 1) * 255).astype(np.uint8)


def write_pictures(root: Path, size: int, train: int, test: int, noise: float = 0.5, seed: int = 0) -> Path:
    """Write `<root>/{train,test}/<class>/*.png`, this many for each class. Returns the root."""
    random = np.random.default_rng(seed)
    for part, count in (("train", train), ("test", test)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.fromarray(picture(random, name, size, noise)).save(folder / f"{index:04d}.png")
    return root


def write_photos(root: Path, sides: tuple[int, int], train: int, val: int) -> Path:
    """Write `<root>/{train,val}/<class>/*.jpg`, this many for each class. Returns the root.

    Sides are from the first to below the second of the given lengths.
    """
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("val", val)):
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                width, height = random.integers(*sides, 2)
                image = Image.fromarray(picture(random, name, sides[1], 0.1)).crop((0, 0, width, height))
                image.save(folder / f"{index}.jpg")
    return root
