"""Measures the throughput of adapting a network on many pictures, in a few minutes.

    python bench/adapting.py > results/throughput-adapting.json

Three ways of doing the same steps take turns, so that other load on the machine affects all of them:

- bare: forward, backward and optimizer, on batches that are in memory with the teacher's answers.
- known: the loop of `sdpoint adapt`, which reads and crops the pictures; the teacher's answers are in the cache.
- first: the same loop with an empty cache, so that the teacher answers each batch, as when a set of crops is new.

The pictures are generated photographs of 500 x 375 pixels, the network is EfficientNet-Lite2 with random weights: the
time does not depend on their values.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from throughput import processor, seconds, spread

from sdpoint.adapt.adapter import load_adapter
from sdpoint.adapt.crops import Crops, Policy
from sdpoint.adapt.distil import Distillation, Lesson
from sdpoint.adapt.pause import Pause
from sdpoint.adapt.settings import Distil
from sdpoint.adapt.statistics import divergence
from sdpoint.adapt.store import Store
from sdpoint.adapt.student import Student
from sdpoint.adapt.teacher import Answers, Teacher
from sdpoint.config import Config
from sdpoint.data import normalise
from sdpoint.models import Network, build_model
from sdpoint.precision import autocast
from sdpoint.run import commit
from sdpoint.systems import build_system

ADAPTER = Path(__file__).parents[1] / "adapters" / "efficientnet-lite2.yaml"
CLASSES = 1000
SETTINGS = ["system.points=[1]", "model.ratios=[0.492, 0.554, 0.738]", "train.average=0.99"]
WAYS = ("bare", "known", "first")


class Bench:
    """Pictures in a folder, and a network; each call of `rate` does the same steps."""

    def __init__(self, folder: Path, config: Config, steps: int) -> None:
        self.folder, self.config, self.steps = folder, config, steps
        self.distil = Distil(steps=steps, shared="all", crop_sets=1)
        count = steps * config.train.batch
        store = Store(folder / "cache", config.data.resize, config.data.kernel)
        files = photographs(folder / "photographs", count)
        store.fill(files, config.data.workers, Pause())
        self.crops = Crops(store.pool(files), Policy.of(config, self.distil))
        torch.manual_seed(0)
        self.model: Network = build_model(config.model, CLASSES).eval()
        self.teacher = Teacher(self.model, config, self.distil)
        work = self._work()
        self.lessons = list(work.lessons(self._answers("known"), self.teacher))  # fills the cache of the known ones
        self.batches = [normalise(lesson.images, config.data) for lesson in self.lessons]

    def rate(self, way: str) -> float:
        """Pictures a second."""
        work = self._work()
        if way == "bare":
            spent = seconds(lambda: self._bare(work))
        else:
            answers = self._answers(way)
            spent = seconds(lambda: [work.step(lesson) for lesson in work.lessons(answers, self.teacher)])
            if way == "first":
                shutil.rmtree(answers.folder)
        return self.steps * self.config.train.batch / spent

    def checkpoint(self) -> float:
        """Seconds that writing a checkpoint takes."""
        work = self._work()
        work.step(self.lessons[0])
        return seconds(lambda: work.save(self.folder / "distilled.pt", {}))

    def _bare(self, work: Distillation) -> None:
        for x, lesson in zip(self.batches, self.lessons, strict=True):
            self._step(work, x, lesson)

    def _step(self, work: Distillation, x: torch.Tensor, lesson: Lesson) -> None:
        with autocast(work.precision, x.device):
            logits = work.student.logits(x, lesson.instance)
        work.optimizer.zero_grad(set_to_none=True)
        divergence(logits.float(), lesson.target).backward()
        work.optimizer.step()

    def _work(self) -> Distillation:
        instances = build_system(self.config, CLASSES).configurations
        return Distillation(Student(self.model, instances, self.distil), self.crops, self.config, self.distil)

    def _answers(self, way: str) -> Answers:
        return Answers(self.folder / "cache", {"way": way}, len(self.crops), CLASSES)


def photographs(folder: Path, count: int) -> list[Path]:
    """Write smooth random pictures as JPEG."""
    folder.mkdir()
    random = np.random.default_rng(0)
    files = [folder / f"{index}.jpg" for index in range(count)]
    for file in files:
        coarse = random.integers(256, size=(15, 20, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(file, quality=90)
    return files


def measure(config: Config, steps: int, rounds: int) -> dict:
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), config, steps)
        for turn in range(rounds + 1):
            for way in sorted(WAYS, reverse=turn % 2 == 1):
                rate = bench.rate(way)
                if turn:  # the first is for warming up
                    rates[way].append(rate)
        checkpoint, name, precision = bench.checkpoint(), bench.model.name, bench.teacher.precision
    result = {"network": name, "precision": precision, "batch": config.train.batch, "threads": config.train.threads}
    result |= {"steps": steps, "rounds": rounds, "checkpointMs": round(1000 * checkpoint)}
    result |= {way: spread(rates[way], 1)[0] for way in WAYS}
    for way in WAYS[1:]:
        ratios = [rate / bare for rate, bare in zip(rates[way], rates["bare"], strict=True)]
        result[f"{way}Ratio"] = dict(zip(("median", "min", "max"), spread(ratios, 3), strict=True))
    return result


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    args = parser.parse_args(argv)
    config = load_adapter(ADAPTER, [*SETTINGS, *args.set]).config
    torch.set_num_threads(config.train.threads)
    head = {"bench": "adapting", "commit": commit(), "cpu": processor(), "machine": platform.machine()}
    json.dump(head | {"torch": torch.__version__} | measure(config, args.steps, args.rounds), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
