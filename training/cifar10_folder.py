"""Turns CIFAR-10's official archive into an image folder: python cifar10_folder.py cifar-10-python.tar.gz data/cifar10

The archive: https://www.cs.toronto.edu/~kriz/cifar.html ("python version", 163 MB). Pictures keep their file names, so
that training holds out the same pictures as for the published figures.
"""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import tarfile
from pathlib import Path

from PIL import Image

MD5 = "c58f30108f718f92721af3b95e74349a"  # published on the page above
BATCHES = {"train": [f"data_batch_{n}" for n in range(1, 6)], "test": ["test_batch"]}


def unpack(archive: Path, out: Path) -> dict[str, int]:
    """Write `<out>/{train,test}/<class>/<name>.png`; return the number of pictures by part.

    Only for a trusted archive: it holds pickles, which can run code.
    """
    counts = {}
    with tarfile.open(archive) as tar:

        def member(name: str) -> dict:
            return pickle.load(tar.extractfile(f"cifar-10-batches-py/{name}"), encoding="bytes")

        classes = [name.decode() for name in member("batches.meta")[b"label_names"]]
        for part, names in BATCHES.items():
            for name in classes:
                (out / part / name).mkdir(parents=True)
            batches = [member(name) for name in names]
            for batch in batches:
                pictures = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
                for pixels, label, name in zip(pictures, batch[b"labels"], batch[b"filenames"], strict=True):
                    Image.fromarray(pixels).save(out / part / classes[label] / name.decode())
            counts[part] = sum(len(batch[b"labels"]) for batch in batches)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    if args.out.exists():
        print(f"{args.out} exists; choose another folder", file=sys.stderr)
        return 2
    if hashlib.md5(args.archive.read_bytes()).hexdigest() != MD5:  # a pickle can run code: only the official one
        print(f"{args.archive} is not the official archive (its MD5 is not {MD5})", file=sys.stderr)
        return 2
    print(unpack(args.archive, args.out))  # {'train': 50000, 'test': 10000}
    return 0


if __name__ == "__main__":
    sys.exit(main())
