"""Measures training throughput on this machine, in about two minutes.

    python bench/throughput.py > results/throughput.json

Two measurements, both in rounds in which the variants take turns, so that other load on the machine affects all of
them:

- cases: pictures a second of a bare training step (forward, backward, optimizer) by number type, memory format, threads
and batch size; with --compiled also with torch.compile, which takes minutes longer. All cases train the same instances.
- loop: throughput of the whole training loop (sdpoint/train.py, with loading, augmentation and logging), relative to
the bare step. Both train the same instances on the same batches.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F

from sdpoint.config import Config, TrainConfig
from sdpoint.data import Split
from sdpoint.distributed import Processes
from sdpoint.instance import Instance
from sdpoint.loader import Batch
from sdpoint.models import build_model
from sdpoint.precision import AUTOCAST
from sdpoint.sampling import sample_instance
from sdpoint.state import UnderWay
from sdpoint.train import Training

CLASSES = 10
CONFIG = Config(train=TrainConfig(look_every=0, checkpoint_minutes=0))  # wrn-16-2 on pictures of 32 x 32, the defaults
BASE = {"batch": 128, "channels_last": True, "precision": "bfloat16", "threads": 2, "compiled": False}
VARIANTS = [
    {},
    {"precision": "float32"},
    {"channels_last": False},
    {"channels_last": False, "precision": "float32"},
    *({"threads": 1}, {"batch": 64}, {"batch": 256}, {"batch": 512}),
]


class Bare:
    """A bare training step. channels_last: memory format of the weights; the training loop has it for pictures only."""

    def __init__(self, precision: str, threads: int, channels_last: bool = False, compiled: bool = False) -> None:
        torch.manual_seed(0)
        self.threads, self.dtype = threads, AUTOCAST.get(precision)
        self.model = build_model(CONFIG.model, CLASSES)
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4
        )

    def step(self, x: torch.Tensor, y: torch.Tensor, instance: Instance) -> None:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype is not None):
            loss = F.cross_entropy(self.forward(x, instance).float(), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def train(self, steps: Iterable[tuple[torch.Tensor, torch.Tensor, Instance]]) -> None:
        torch.set_num_threads(self.threads)
        for x, y, instance in steps:
            self.step(x, y, instance)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def spread(values: Sequence[float], digits: int = 0) -> tuple[float, float, float]:
    """(median, minimum, maximum), rounded."""
    return tuple(round(f(values), digits or None) for f in (statistics.median, min, max))


def measure_cases(cases: Sequence[dict], steps: int, rounds: int) -> list[dict]:
    """The cases with their throughput: median and range over rounds, after a warm-up step for each instance."""
    generator = torch.Generator().manual_seed(0)
    points = range(build_model(CONFIG.model, CLASSES).points + 1)
    schedule = [sample_instance(generator, points, CONFIG.model.ratios) for _ in range(steps)]
    work = []
    for case in cases:
        bare = Bare(case["precision"], case["threads"], case["channels_last"], case["compiled"])
        layout = torch.channels_last if case["channels_last"] else torch.contiguous_format
        x = torch.randn(case["batch"], 3, 32, 32, generator=generator).contiguous(memory_format=layout)
        y = torch.randint(CLASSES, (case["batch"],), generator=generator)
        work.append((bare, [(x, y, instance) for instance in schedule]))
        bare.train((x, y, instance) for instance in dict.fromkeys(schedule))
    rates: list[list[float]] = [[] for _ in cases]
    for _ in range(rounds):
        for case, (bare, batches), mine in zip(cases, work, rates, strict=True):
            mine.append(steps * case["batch"] / seconds(lambda bare=bare, batches=batches: bare.train(batches)))
    rows = []
    for case, mine in zip(cases, rates, strict=True):
        median, low, high = spread(mine)
        rows.append(case | {"picturesPerSecond": median, "min": low, "max": high})
        print(rows[-1], file=sys.stderr)
    return rows


def measure_loop(steps: int, rounds: int) -> dict:
    """Throughput of the training loop and of the bare step, in turns. ratio: of the loop to the step."""
    settings = CONFIG.train
    pictures = steps * settings.batch
    part = Split(
        torch.randint(256, (pictures, 32, 32, 3), dtype=torch.uint8),
        torch.randint(CLASSES, (pictures,)),
        tuple("abcdefghij"),
        tuple(map(str, range(pictures))),
    )
    config = replace(CONFIG, train=replace(settings, epochs=rounds + 1))
    training = Training(config, part, Processes())
    bare = Bare(training.precision, settings.threads)
    state = training.state
    rates: dict[str, list[float]] = {"loop": [], "bare": []}
    for turn in range(rounds + 1):
        state.under_way = UnderWay(state.generator.get_state())
        batches: list[Batch] = list(training.loader.batches(state))  # the same that the loop will make
        work = [(batch.x, batch.y, batch.drawn.instance) for batch in batches]
        if turn == 0:
            for instance in training.system.configurations:
                bare.train([(*work[0][:2], instance)])
        calls = {"loop": lambda: training.epoch(save=lambda: None), "bare": lambda work=work: bare.train(work)}
        for name in sorted(calls, reverse=turn % 2 == 1):
            rate = pictures / seconds(calls[name])
            if turn:  # the first is for warming up
                rates[name].append(rate)
    ratios = [loop / step for loop, step in zip(*rates.values(), strict=True)]
    median, low, high = spread(ratios, 3)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = seconds(lambda: state.save(Path(folder) / "checkpoint.pt", config, part.classes))
    return {
        **{"batch": settings.batch, "threads": settings.threads, "precision": training.precision, "steps": steps},
        **{"rounds": rounds, "loop": spread(rates["loop"])[0], "bare": spread(rates["bare"])[0]},
        **{"ratio": median, "min": low, "max": high, "checkpointMs": round(1000 * checkpoint, 1)},
    }


def processor() -> str:
    """Name of the CPU model, from /proc/cpuinfo if available."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12, help="of each case in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-steps", type=int, default=25, help="of the loop in a round")
    parser.add_argument("--loop-rounds", type=int, default=5)
    parser.add_argument("--compiled", action="store_true", help="also torch.compile (needs a C++ compiler)")
    args = parser.parse_args()
    loop = measure_loop(args.loop_steps, args.loop_rounds)
    print(loop, file=sys.stderr)
    torch._dynamo.config.recompile_limit = 64  # a program for each instance
    cases = [BASE | variant for variant in VARIANTS + ([{"compiled": True}] if args.compiled else [])]
    head = {
        "network": build_model(CONFIG.model, CLASSES).name,
        "rounds": args.rounds,
        "cpu": f"{processor()} ({torch.backends.cpu.get_cpu_capability()})",
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    rows = measure_cases(cases, args.steps, args.rounds)
    json.dump(head | {"loop": loop, "cases": rows}, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
