"""Copies photographs with fewer pixels, so that they fit into few calls to a GPU machine: README.md beside this file.

    python3 training/gpu/reduce.py training/adapters/efficientnet-lite2-many.yaml \
      --pictures photos/train flower_photos --most 1500 --out .gpu/adapt-files/pictures

The first folder is copied whole, to 1, and of each further one at most --most pictures, drawn at random, to 2, 3, ....
Names stay, but end in .jpg, so that `sdpoint adapt` and `sdpoint export` hold out the same pictures of the first
folder.
The shorter side becomes data.resize of the adapter; smaller pictures keep their size.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from sdpoint.adapt.adapter import load_adapter
from sdpoint.adapt.gather import listed, some
from sdpoint.config import DataConfig
from sdpoint.data import DataError
from sdpoint.photos import KERNELS, opened

QUALITY = 90  # of JPEG; about 45 kB for a photograph whose shorter side has 292 pixels


def reduced(image: Image.Image, shorter: int, kernel: str) -> Image.Image:
    """The picture with its shorter side reduced to `shorter` pixels."""
    share = shorter / min(image.size)
    if share >= 1:
        return image
    width, height = image.size
    return image.resize((round(width * share), round(height * share)), KERNELS[kernel])


def copy(folder: Path, files: Sequence[Path], data: DataConfig, target: Path) -> int:
    """Write the pictures to `target`. Returns the number of bytes.

    Raises SystemExit if one cannot be read: without it other pictures of the first folder would be held out.
    """
    size = 0
    for file in files:
        try:
            image = reduced(opened(file), data.resize, data.kernel)
        except DataError as error:
            raise SystemExit(f"{error}; remove it, or leave it out (--without)") from error
        path = (target / file.relative_to(folder)).with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=QUALITY)
        size += path.stat().st_size
    return size


def main(argv: Sequence[str] | None = None) -> None:
    """Raises DataError if a folder holds no pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, metavar="FOLDER")
    parser.add_argument("--without", action="append", default=[], metavar="PATTERN", help="as of sdpoint adapt")
    parser.add_argument("--most", type=int, default=0, help="pictures of each further folder; 0: all")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    config = load_adapter(args.adapter).config
    for place, folder in enumerate(args.pictures, 1):
        files = [folder / name for name in listed(folder, args.without, config.data).files]
        chosen = files if place == 1 else some(files, args.most, config.train.seed)
        size = copy(folder, chosen, config.data, args.out / str(place))
        print(f"{folder}: {len(chosen)} of {len(files)} pictures, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
