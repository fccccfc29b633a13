"""Measures the exported graphs: agreement with PyTorch, temperatures, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from onnxruntime import InferenceSession
from torch import Tensor

from sdpoint.checkpoint import CrossValidated, Trained
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
BATCHES = (1, 7)  # batch sizes of the comparison with PyTorch
GOLDEN_CASES = 3
PRECISIONS = ("float32", "int8")
FEW = 5_000  # with at least as many test pictures, a 95 % interval is at most about one point to either side


@dataclass(frozen=True)
class Measured:
    """The figures of one instance. share: of the FLOPs of `full`; errors: calibration errors on the test part, without
    and with the temperature.

    For random weights nothing is measured: `test` is the accuracy of a guess, `held_out` and `errors` are None.
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
    """Whether the figures are those of a guess (random weights)."""
    return measured[0].errors is None


def id_of(instance: Instance, precision: str) -> str:
    """Id of an instance; quantised ones have a suffix, such as `full-i8`."""
    return f"{instance.id}-i8" if precision == "int8" else instance.id


def compared_by(measured: Sequence[Measured]) -> dict[str, float]:
    """The accuracy by which instances are compared, by id. It is top1, with two exceptions:

    - With fewer than FEW test pictures, it is smoothed over cost, within each instance's confidence interval, because
      differences between neighbours are mostly chance. (The accuracy of a guess is equal for all and is not smoothed.)
    - That of an int8 twin is at most that of its instance, because it can only be higher by chance.
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
    """Ids of the float32 instances on the frontier, by `compared_by`, the cheapest first.

    Int8 twins are left out because they have the FLOPs of their instances.
    """
    by = compared_by(measured)
    return frontier({m.id: Point(m.flops, by[m.id]) for m in measured if m.precision == "float32"})


def golden_images(count: int, size: int) -> Tensor:
    """Generated pictures [count, size, size, 3] uint8.

    Picture k has (31 x + 17 y + 7 c + 13 k) mod 256 at column x, row y, channel c.
    """
    k, y, x, c = torch.meshgrid(*(torch.arange(n) for n in (count, size, size, 3)), indexing="ij")
    return ((31 * x + 17 * y + 7 * c + 13 * k) % 256).to(torch.uint8)


def torch_logits(trained: Trained, instance: Instance, images: Tensor) -> Tensor:
    """Logits [n, classes] of an instance by PyTorch's forward pass, with the instance's statistics."""
    return logits_of(trained.model, instance, trained.statistics[instance.id], images, trained.config.data)


def check_parity(folder: Path, trained: Trained, pictures: Tensor) -> None:
    """Compare every graph with PyTorch, on generated pictures and some of `pictures`, in batches of each size in
    BATCHES.

    Raises ExportError if logits differ by more than TOLERANCE.
    """
    images = torch.cat(
        [golden_images(max(BATCHES), trained.config.data.size), *pictures[: max(BATCHES)].split(max(BATCHES))]
    )
    for instance in trained.instances:
        session = open_session(folder / f"{instance.id}.onnx")
        expected = torch_logits(trained, instance, images)
        for size in BATCHES:
            worst = (run_session(session, images, size) - expected).abs().max().item()
            if not worst <= TOLERANCE:  # also catches NaN
                raise ExportError(f"{instance.id}: logits differ by {worst:.2g} at batch {size}; allowed {TOLERANCE}")


def measure(
    folder: Path, trained: Trained, held_out: Split, open_test: Callable[[], Split], twins: bool = False
) -> list[Measured]:
    """Fit the temperature of each instance on the held-out pictures, and count right answers on both parts.

    An instance that was cross-validated has the temperature of that, and so has its int8 twin.

    twins: also measure the int8 twin of each instance.
    """
    flops, test = _flops(trained), open_test()

    def one(instance: Instance, precision: str) -> Measured:
        session = open_session(folder / f"{id_of(instance, precision)}.onnx")
        temperature, accuracy = _fitted(session, trained.crossed.get(instance.id), held_out)
        unseen = run_session(session, test.images)
        return Measured(
            instance,
            precision,
            flops[instance],
            flops[instance] / flops[FULL],
            temperature,
            accuracy,
            accuracy_of(unseen, test.labels),
            tuple(calibration_error(unseen, test.labels, t) for t in (1.0, temperature)),
        )

    every = [(instance, p) for p in PRECISIONS[: 1 + twins] for instance in trained.instances]
    return [one(*variant) for variant in progress(every, "measure")]


def _fitted(session: InferenceSession, crossed: CrossValidated | None, held_out: Split) -> tuple[float, Accuracy]:
    """The temperature, and the right answers on the pictures that it was fitted on."""
    if crossed:
        return crossed.temperature, Accuracy(crossed.correct, crossed.correct5, crossed.n)
    logits = run_session(session, held_out.images)
    return fit_temperature(logits, held_out.labels), accuracy_of(logits, held_out.labels)


def guess(trained: Trained) -> list[Measured]:
    """Figures for random weights, without measurement: the cost of each instance, and the accuracy of a guess.

    The accuracy is that of guessing one picture of each class: one right on average, and five among the first five.
    """
    flops, classes = _flops(trained), len(trained.classes)
    chance = Accuracy(1, min(5, classes), classes)
    return [
        Measured(i, "float32", flops[i], flops[i] / flops[FULL], 1.0, None, chance, None) for i in trained.instances
    ]


def _flops(trained: Trained) -> dict[Instance, int]:
    config, classes = trained.config, len(trained.classes)
    return {i: network_flops(config.model, classes, config.data.size, i) for i in trained.instances}
