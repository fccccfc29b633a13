"""What the exported graphs give: parity with PyTorch, temperatures, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sdpoint.checkpoint import Trained
from sdpoint.data import Split
from sdpoint.evaluate import Accuracy, accuracy_of, logits_of
from sdpoint.export import ExportError
from sdpoint.export.runtime import open_session, run_session
from sdpoint.flops import network_flops
from sdpoint.frontier import Point, frontier, smoothed
from sdpoint.instance import FULL, Instance
from sdpoint.run import progress
from sdpoint.temperature import calibration_error, fit_temperature

TOLERANCE = 1e-3  # largest allowed difference of a logit between PyTorch and any runtime
BATCHES = (1, 7)
GOLDEN_CASES = 3
PRECISIONS = ("float32", "int8")
FEW = 5_000  # test pictures: with more, a 95 % interval reaches about a point to either side, or less


@dataclass(frozen=True)
class Measured:
    """One instance; share: of the FLOPs of `full`; errors: of calibration, on test, without temperature and with.

    Of random weights nothing is measured: `test` is what a guess gives, and there are no held_out and no errors.
    """

    instance: Instance
    precision: str  # "float32", or "int8"
    flops: int
    share: float
    temperature: float
    held_out: Accuracy | None
    test: Accuracy
    errors: tuple[float, float] | None

    @property
    def id(self) -> str:
        return id_of(self.instance, self.precision)


def guessed(measured: Sequence[Measured]) -> bool:
    """Whether the figures are those of a guess, for random weights."""
    return measured[0].errors is None


def id_of(instance: Instance, precision: str) -> str:
    """With a suffix if quantised: `full-i8`."""
    return f"{instance.id}-i8" if precision == "int8" else instance.id


def compared_by(measured: Sequence[Measured]) -> dict[str, float]:
    """By id, the accuracy that instances are compared by: top1, but

    - smoothed over cost, within each one's interval, if the test pictures are so few that chance decides (a guess's
      accuracy is the same everywhere, so there is nothing to smooth);
    - of an int8 twin no more than its instance's, which it exceeds by chance only.
    """
    top1 = {m.id: m.test.top1 for m in measured}
    if measured[0].test.n < FEW and not guessed(measured):
        for precision in dict.fromkeys(m.precision for m in measured):
            own = [m for m in measured if m.precision == precision]
            for id, value in smoothed({m.id: Point(m.flops, m.test.top1) for m in own}).items():
                top1[id] = value
        for m in measured:
            low, high = m.test.interval
            top1[m.id] = min(max(top1[m.id], low), high)
    return {m.id: min(top1[m.id], top1[m.instance.id]) for m in measured}


def best_of(measured: Sequence[Measured]) -> list[str]:
    """Ids on the frontier, from cheap to dear, by what instances are compared by; of float32, as FLOPs are alike."""
    by = compared_by(measured)
    return frontier({m.id: Point(m.flops, by[m.id]) for m in measured if m.precision == "float32"})


def golden_images(count: int, size: int) -> Tensor:
    """[count, size, size, 3] uint8: picture k has (31 x + 17 y + 7 c + 13 k) mod 256 at column x, row y, channel c."""
    k, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (count, size, size, 3)), indexing="ij")
    return ((31 * x + 17 * y + 7 * c + 13 * k) % 256).to(torch.uint8)


def torch_logits(trained: Trained, instance: Instance, images: Tensor) -> Tensor:
    """[n, classes] from training's own forward pass, with the instance's statistics."""
    return logits_of(trained.model, instance, trained.statistics[instance.id], images, trained.config.data)


def check_parity(folder: Path, trained: Trained, pictures: Tensor) -> None:
    """Raises ExportError if a graph and PyTorch differ by more than TOLERANCE, in batches of 1 and of 7."""
    images = torch.cat(
        [golden_images(max(BATCHES), trained.config.data.size), *pictures[: max(BATCHES)].split(max(BATCHES))]
    )
    for instance in trained.instances:
        session = open_session(folder / f"{instance.id}.onnx")
        expected = torch_logits(trained, instance, images)
        for size in BATCHES:
            got = torch.cat([run_session(session, batch) for batch in images.split(size)])
            worst = (got - expected).abs().max().item()
            if not worst <= TOLERANCE:  # also catches NaN
                raise ExportError(f"{instance.id}: logits differ by {worst:.2g} at batch {size}; allowed {TOLERANCE}")


def measure(
    folder: Path, trained: Trained, held_out: Split, open_test: Callable[[], Split], twins: bool = False
) -> list[Measured]:
    """Fit each temperature on the held-out pictures, then open the test part and count right answers.

    twins: also of every instance's int8 twin.
    """
    flops, test = _flops(trained), open_test()

    def one(instance: Instance, precision: str) -> Measured:
        session = open_session(folder / f"{id_of(instance, precision)}.onnx")
        logits, unseen = run_session(session, held_out.images), run_session(session, test.images)
        temperature = fit_temperature(logits, held_out.labels)
        return Measured(
            instance,
            precision,
            flops[instance],
            flops[instance] / flops[FULL],
            temperature,
            accuracy_of(logits, held_out.labels),
            accuracy_of(unseen, test.labels),
            tuple(calibration_error(unseen, test.labels, t) for t in (1.0, temperature)),
        )

    every = [(instance, p) for p in PRECISIONS[: 1 + twins] for instance in trained.instances]
    return [one(*variant) for variant in progress(every, "measure")]


def guess(trained: Trained) -> list[Measured]:
    """What is known of random weights without a picture: what each instance costs, and how often a guess is right.

    Of one picture of each class a guess has one right on average, and five among its first five.
    """
    flops, classes = _flops(trained), len(trained.classes)
    chance = Accuracy(1, min(5, classes), classes)
    return [
        Measured(i, "float32", flops[i], flops[i] / flops[FULL], 1.0, None, chance, None) for i in trained.instances
    ]


def _flops(trained: Trained) -> dict[Instance, int]:
    config, classes = trained.config, len(trained.classes)
    return {i: network_flops(config.model, classes, config.data.size, i) for i in trained.instances}
