import json
from pathlib import Path

import pytest

from sdpoint.config import Config
from sdpoint.sweep import plain

N = 1000
CLASSES = ["cat", "dog"]


def row(id: str, share: float, correct: int) -> dict:
    half = correct // 2
    by_class = [half, correct - half]
    changed = {"lost": 5, "gained": 3, "confusions": [["cat", "dog", 4]] if id != "full" else []}
    return {
        "id": id,
        "flops": int(share * 1e6),
        "share": share,
        "correct": correct,
        "n": N,
        "correctByClass": by_class,
    } | changed


@pytest.fixture
def write(tmp_path):
    """write(system, seed, {id: (share, correct)}, sweep, shift of the test part, ubn) writes one result's JSON."""

    def written(system, seed, figures, sweep="small", test=None, ubn=None) -> Path:
        def part(shift, of):
            return [row(id, share, correct + shift) for id, (share, correct) in of.items()]

        parts = {"held-out": 0} | ({} if test is None else {"test": test})
        content = {
            "sweep": sweep, "system": system, "seed": seed, "network": "wrn", "parameters": 1, "classes": CLASSES,
            "pictures": 50, "epochs": 2, "trainingFlops": 4e12, "trainingFlopsPerEpoch": 2e12, "seconds": 360.0,
            "commit": "abc", "device": "cpu", "versions": {"torch": "2"}, "weights": "w", "testOpened": 0,
            "config": plain(Config()),
            "parts": {
                name: {"n": N, "nByClass": [500, 500], "configurations": part(shift, figures)}
                | ({"ubn": part(shift, ubn)} if ubn else {})
                for name, shift in parts.items()
            },
        }  # fmt: skip
        path = tmp_path / sweep / f"{system}-seed{seed}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return path.parent

    return written


@pytest.fixture
def folder(write) -> Path:
    """SDPoint and plain with two seeds each, a scale between two instances, all on held-out pictures."""
    for seed, shift in ((1, 0), (2, 10)):
        ours = {"full": (1.0, 900 + shift), "p01-r500": (0.25, 800 + shift), "p02-r500": (0.5, 880 + shift)}
        worse = {id: (share, correct - 100) for id, (share, correct) in ours.items()}
        write("sdpoint", seed, ours, ubn=worse)
        write("plain", seed, {"full": (1.0, 890 + shift)})
        write("scales", seed, {"full": (1.0, 880 + shift), "s500": (0.25, 700 + shift), "s600": (0.375, 845 + shift)})
    return write("tiny", 1, {"full": (0.1, 300)})
