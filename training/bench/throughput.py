"""Measures training throughput on this machine: memory format, number type, batch size, threads, compilation.

    python bench/throughput.py > results/throughput.json

Each case draws instances as training does (the same seed for all), after warm-up; pictures per second, median of
rounds.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from sdpoint.config import WideResNetConfig
from sdpoint.models.wrn import WideResNet
from sdpoint.sampling import sample_instance

RATIOS = (0.5, 0.75)


def pictures_per_second(*, batch: int, channels_last: bool, bfloat16: bool, threads: int, compiled: bool, steps: int):
    """Median over rounds, after one warm-up step of each instance in the schedule."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = WideResNet(WideResNetConfig(), 10)
    x = torch.randn(batch, 3, 32, 32)
    if channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    forward = torch.compile(model) if compiled else model
    y = torch.randint(10, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step(instance):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(forward(x, instance), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    generator = torch.Generator().manual_seed(0)
    schedule = [sample_instance(generator, range(model.points + 1), RATIOS) for _ in range(steps)]
    for instance in dict.fromkeys(schedule):
        step(instance)
    rates = []
    for _ in range(3):
        start = time.perf_counter()
        for instance in schedule:
            step(instance)
        rates.append(steps * batch / (time.perf_counter() - start))
    return statistics.median(rates), min(rates), max(rates)


def processor() -> str:
    """The model's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--compiled", action="store_true", help="also measure torch.compile (minutes of compilation)")
    steps, compiled = (args := parser.parse_args()).steps, args.compiled
    base = dict(batch=128, channels_last=True, bfloat16=True, threads=2, compiled=False, steps=steps)
    variants = [{}, {"bfloat16": False}, {"channels_last": False}, {"channels_last": False, "bfloat16": False}]
    variants += [{"threads": 1}, {"batch": 64}, {"batch": 256}, {"batch": 512}]
    rows = []
    for variant in variants + ([{"compiled": True}] if compiled else []):
        case = base | variant
        median, low, high = pictures_per_second(**case)
        rows.append(case | {"picturesPerSecond": round(median), "min": round(low), "max": round(high)})
        print(rows[-1], file=sys.stderr)
    machine = {
        "cpu": f"{processor()} ({torch.backends.cpu.get_cpu_capability()})",
        "machine": platform.machine(),
        "torch": torch.__version__,
    }
    json.dump({"network": "wrn-16-2", "rounds": 3, **machine, "cases": rows}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
