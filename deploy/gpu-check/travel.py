"""Moves files in pieces to a machine that has no network and takes few bytes at a time.

    python3 deploy/gpu-check/travel.py pack .gpu/serving --from .gpu/serving-files    here: makes .gpu/serving/1, 2, ...
    python3 deploy/gpu-check/travel.py receive .gpu/serving                           there, in the call of each piece
    python3 deploy/gpu-check/travel.py unpack serving /tmp/serving                    there, after the last piece
    python3 deploy/gpu-check/travel.py back "$OUT"                                    there, once results are written

README.md beside this file explains such calls. A call brings the working tree (all files that git does not ignore) and
one piece, so the size of a piece is what the tree leaves of the limit.
Standard library only: it runs before anything else is there.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
CALL_MIB = 64  # largest call: working tree and piece together
SPARE_MIB = 2  # of these, for names and headers of files, which may count too
BACK_FILES, BACK_FILE_MIB, BACK_MIB = 8, 16, 64  # files that one call copies back: number, largest, all together
STORE = Path("/tmp/gpu-pieces")  # there; outside the working tree, which every call replaces


class TravelError(ValueError):
    """Files are too large for a call, or did not arrive whole; the message says what to do."""


def tree_bytes(root: Path) -> int:
    """Size of all files of the working tree that git does not ignore. Deleted files do not count."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    paths = [root / name for name in names if name]
    return sum(p.lstat().st_size for p in paths if p.is_file() or p.is_symlink())


def room_for_pieces(tree: int, call: int = CALL_MIB * MIB) -> int:
    """Size of the largest piece beside a tree of this size. Raises TravelError below an eighth of a call."""
    room = call - tree - SPARE_MIB * MIB
    if room < call // 8:
        raise TravelError(
            f"the working tree has {mib(tree)} of the {mib(call)} that a call takes: leave out what is not needed "
            "(git sparse-checkout set --no-cone '/*' '!/models/'; back with git sparse-checkout disable)"
        )
    return room


class _Pieces(io.RawIOBase):
    """A stream that is written to the files `<folder>/<n>/piece`, n = 1, 2, ..., of at most `most` bytes each."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most, self.digests, self.sizes = folder, most, [], []
        self._file, self._left = None, 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        data, written = memoryview(data), len(data)
        while len(data):
            if self._left == 0:
                self._next()
            part, data = data[: self._left], data[self._left :]
            self._file.write(part)
            self.digests[-1].update(part)
            self.sizes[-1] += len(part)
            self._left -= len(part)
        return written

    def _next(self) -> None:
        self.finish()
        path = self.folder / str(len(self.sizes) + 1) / "piece"
        path.parent.mkdir(parents=True)
        self._file, self._left = path.open("wb"), self.most
        self.digests.append(hashlib.sha256())
        self.sizes.append(0)

    def finish(self) -> None:
        if self._file:
            self._file.close()


def pack(source: Path, target: Path, most: int, preset: int = 6) -> list[int]:
    """Write all files of `source`, compressed, to pieces in `target`. Returns the sizes of the pieces.

    most: size of the largest piece. Beside each piece, whole.json lists all pieces with their digests.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    pieces = _Pieces(target, most)
    with lzma.open(pieces, "wb", preset=preset) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for path in sorted(source.iterdir()):
            archive.add(path, path.name)
    pieces.finish()
    whole = {"name": target.name, "sha256": [d.hexdigest() for d in pieces.digests], "bytes": pieces.sizes}
    for folder in target.iterdir():
        (folder / "whole.json").write_text(json.dumps(whole))
    return pieces.sizes


def receive(folder: Path, store: Path = STORE) -> list[int]:
    """Keep the pieces that are in `folder` now. Returns the numbers of the pieces that are still missing.

    Raises TravelError if there is none, or if one is damaged.
    """
    come = sorted(folder.glob("*/piece"), key=lambda p: int(p.parent.name))
    if not come:
        raise TravelError(f"no piece in {folder}; name one of its folders among the paths that travel")
    if not (come[0].parent / "whole.json").exists():
        raise TravelError(f"{come[0].parent} has no whole.json: it was not packed to the end; pack again")
    whole = json.loads((come[0].parent / "whole.json").read_text())
    for piece in come:
        number = int(piece.parent.name)
        if _digest(piece) != whole["sha256"][number - 1]:
            raise TravelError(f"{piece} is damaged, or of another packing; send it again")
        kept = store / whole["name"] / f"{number}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(piece, kept)
        (kept.parent / "whole.json").write_text(json.dumps(whole))
    return _missing(store / whole["name"], whole)


def unpack(name: str, target: Path, store: Path = STORE) -> None:
    """Write the files from the kept pieces to `target`. Raises TravelError if a piece is missing."""
    kept = store / name
    if not (kept / "whole.json").exists():
        raise TravelError(f"nothing of {name} has come; run `travel.py receive` with each piece first")
    whole = json.loads((kept / "whole.json").read_text())
    if missing := _missing(kept, whole):
        raise TravelError(f"pieces {missing} of {name} are missing: send them, each with `travel.py receive`")
    target.mkdir(parents=True, exist_ok=True)
    paths = (kept / str(n + 1) for n in range(len(whole["sha256"])))
    with _Joined(paths) as joined, lzma.open(joined) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        archive.extractall(target, filter="tar")


class _Joined(io.RawIOBase):
    """Files one after another, read as one stream."""

    def __init__(self, paths: Iterator[Path]) -> None:
        self._paths, self._file = paths, None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while True:
            read = self._file.readinto(buffer) if self._file else 0
            if read:
                return read
            if self._file:
                self._file.close()
            path = next(self._paths, None)
            if path is None:
                return 0
            self._file = path.open("rb")


def _missing(kept: Path, whole: dict) -> list[int]:
    """Numbers of the pieces that are not in the folder `kept`, or are damaged."""
    there = {
        n + 1
        for n, sha in enumerate(whole["sha256"])
        if (kept / str(n + 1)).exists() and _digest(kept / str(n + 1)) == sha
    }
    return [n + 1 for n in range(len(whole["sha256"])) if n + 1 not in there]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_back(folder: Path) -> str:
    """Number and size of the files that a call would copy back. Raises TravelError if they exceed a limit."""
    sizes = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    large = [name for name, size in sizes.items() if size > BACK_FILE_MIB * MIB]
    total = sum(sizes.values())
    if large or len(sizes) > BACK_FILES or total > BACK_MIB * MIB:
        raise TravelError(
            f"{len(sizes)} files with {mib(total)} in {folder}, too large: {large}; at most {BACK_FILES} files of "
            f"{BACK_FILE_MIB} MiB come back, {BACK_MIB} MiB together"
        )
    most = f"at most {BACK_FILES} of {BACK_FILE_MIB} MiB, {BACK_MIB} MiB together"
    return f"{len(sizes)} files with {mib(total)} come back ({most})"


def mib(count: int) -> str:
    return f"{count / MIB:.1f} MiB"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    packs = commands.add_parser("pack")
    packs.add_argument("target", type=Path)
    packs.add_argument("--from", dest="source", type=Path, required=True)
    packs.add_argument("--call-mib", type=float, default=CALL_MIB, help="largest call: working tree and piece together")
    packs.add_argument("--preset", type=int, default=6, help="of xz: 0 is fastest, 9 packs smallest")
    commands.add_parser("receive").add_argument("folder", type=Path)
    unpacks = commands.add_parser("unpack")
    unpacks.add_argument("name")
    unpacks.add_argument("target", type=Path)
    commands.add_parser("back").add_argument("folder", type=Path)
    for command in commands.choices.values():
        command.add_argument("--store", type=Path, default=STORE, help="folder that keeps the pieces")
    args = parser.parse_args(argv)
    try:
        match args.command:
            case "pack":
                tree = tree_bytes(Path.cwd())
                call = round(args.call_mib * MIB)
                sizes = pack(args.source, args.target, room_for_pieces(tree, call), args.preset)
                for number, size in enumerate(sizes, start=1):
                    print(f"call {number}: tree {mib(tree)} + {args.target}/{number} {mib(size)} of {mib(call)}")
            case "receive":
                missing = receive(args.folder, args.store)
                print(f"received; still missing: {missing}" if missing else "received; all pieces are there")
            case "unpack":
                unpack(args.name, args.target, args.store)
            case "back":
                print(check_back(args.folder))
    except TravelError as error:
        print(f"travel.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
