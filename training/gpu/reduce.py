"""Copies photographs with fewer pixels, so that they fit into few calls to a GPU machine: README.md beside this file.

    python3 training/gpu/reduce.py training/adapters/efficientnet-lite2-many.yaml \
      --pictures photos/train flower_photos --most 1500 --out .gpu/adapt-files/pictures

The first folder is copied whole, to 1, and of each further one at most --most pictures, drawn at random, to 2, 3, ....
Each name gets .jpg at its end, so that the order stays and `sdpoint adapt` holds out the pictures of the first folder
that `sdpoint export` finds. A copy has what `sdpoint adapt` keeps of a picture in its cache: the shorter side becomes
data.resize of the adapter, if it is longer, and the ends of long pictures are cut off.
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
from sdpoint.adapt.store import shrunk
from sdpoint.config import DataConfig
from sdpoint.data import DataError

QUALITY = 90  # of JPEG


def copy(folder: Path, files: Sequence[Path], data: DataConfig, target: Path) -> int:
    """Write the pictures to `target`. Returns the number of bytes.

    Raises SystemExit if one cannot be read: without it other pictures of the first folder would be held out.
    """
    size = 0
    for file in files:
        try:
            pixels = shrunk(file, data.resize, data.kernel)
        except DataError as error:
            raise SystemExit(f"{file} {error}; remove it, or leave it out (--without)") from error
        path = target / f"{file.relative_to(folder)}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=QUALITY)
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
