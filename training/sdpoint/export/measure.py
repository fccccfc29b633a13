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
from sdpoint.downsample import downsample
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
    """The figures of one instance. share: of the FLOPs of the family's `full`; errors: calibration errors on the test
    part, without and with the temperature; network: of a family with several, empty for that of `full`.

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
    network: str = ""

    @property
    def id(self) -> str:
        return id_of(self.instance, self.precision, self.network)

    @property
    def exact(self) -> str:
        """Id of the float32 instance, of which this one is the int8 twin, or itself."""
        return id_of(self.instance, "float32", self.network)


@dataclass(frozen=True)
class Member:
    """The place of a network in a family of several. network: its name, empty for that of `full`; full: FLOPs of the
    family's `full`; instances: those that the family has of it.
    """

    network: str
    full: int
    instances: Sequence[Instance]


def guessed(measured: Sequence[Measured]) -> bool:
    """Whether the figures are those of a guess (random weights)."""
    return measured[0].errors is None


def id_of(instance: Instance, precision: str = "float32", network: str = "") -> str:
    """Id of an instance, such as `full`, `full-i8` if it is quantised, `lite0-full` of the network `lite0`."""
    return f"{network}-" * bool(network) + instance.id + "-i8" * (precision == "int8")


def compared_by(measured: Sequence[Measured]) -> dict[str, float]:
    """The accuracy by which instances are compared, by id. It is top1, with two exceptions:

    - With fewer than FEW test pictures, it is smoothed over the costs of a network, within each instance's confidence
      interval, because differences between neighbours are mostly chance. (The accuracy of a guess is equal for all and
      is not smoothed.)
    - That of an int8 twin is at most that of its instance, because it can only be higher by chance.
    """
    top1 = {m.id: m.test.top1 for m in measured}
    if measured[0].test.n < FEW and not guessed(measured):
        for kind in dict.fromkeys((m.network, m.precision) for m in measured):
            own = [m for m in measured if (m.network, m.precision) == kind]
            for id, value in smoothed({m.id: Point(m.flops, m.test.top1) for m in own}).items():
                top1[id] = value
        for m in measured:
            low, high = m.test.interval
            top1[m.id] = min(max(top1[m.id], low), high)
    return {m.id: min(top1[m.id], top1[m.exact]) for m in measured}


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
    """Logits [n, classes] of an instance by PyTorch's forward pass, with the instance's statistics.

    images: [n, h, w, 3] uint8; of another size than the network's input they are reduced as in the graph.
    """
    data = trained.config.data
    if (given := images.shape[1]) != data.size:
        planes = downsample(images.permute(0, 3, 1, 2).float(), data.size / given, "linear")
        images = planes.permute(0, 2, 3, 1)
    return logits_of(trained.model, instance, trained.statistics[instance.id], images, data)


def check_parity(
    folder: Path, trained: Trained, pictures: Tensor, network: str = "", only: Sequence[Instance] | None = None
) -> None:
    """Compare graphs with PyTorch, on generated pictures and some of `pictures`, in batches of each size in BATCHES.

    network: of a family with several; only: instances to check; None: all. Raises ExportError if logits differ by more
    than TOLERANCE.
    """
    some = list(pictures[: max(BATCHES)].split(max(BATCHES)))
    size = some[0].shape[1] if some else trained.config.data.size
    images = torch.cat([golden_images(max(BATCHES), size), *some])
    for instance in trained.instances if only is None else only:
        id = id_of(instance, network=network)
        session = open_session(folder / f"{id}.onnx")
        expected = torch_logits(trained, instance, images)
        for size in BATCHES:
            worst = (run_session(session, images, size) - expected).abs().max().item()
            if not worst <= TOLERANCE:  # also catches NaN
                raise ExportError(f"{id}: logits differ by {worst:.2g} at batch {size}; allowed {TOLERANCE}")


def measure(
    folder: Path,
    trained: Trained,
    held_out: Split,
    open_test: Callable[[], Split],
    twins: bool = False,
    member: Member | None = None,
) -> list[Measured]:
    """Fit the temperature of each instance on the held-out pictures, and count right answers on both parts.

    An instance that was cross-validated has the temperature of that, and so has its int8 twin.

    twins: also measure the int8 twin of each instance; member: the network's place in a family of several.
    """
    test = open_test()
    place = member or Member("", _flops(trained, [FULL])[FULL], trained.instances)
    flops = _flops(trained, place.instances)

    def one(instance: Instance, precision: str) -> Measured:
        session = open_session(folder / f"{id_of(instance, precision, place.network)}.onnx")
        temperature, accuracy = _fitted(session, trained.crossed.get(instance.id), held_out)
        unseen = run_session(session, test.images)
        return Measured(
            instance,
            precision,
            flops[instance],
            flops[instance] / place.full,
            temperature,
            accuracy,
            accuracy_of(unseen, test.labels),
            tuple(calibration_error(unseen, test.labels, t) for t in (1.0, temperature)),
            place.network,
        )

    every = [(instance, p) for p in PRECISIONS[: 1 + twins] for instance in place.instances]
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
    flops, classes = _flops(trained, trained.instances), len(trained.classes)
    chance = Accuracy(1, min(5, classes), classes)
    return [
        Measured(i, "float32", flops[i], flops[i] / flops[FULL], 1.0, None, chance, None) for i in trained.instances
    ]


def _flops(trained: Trained, instances: Sequence[Instance]) -> dict[Instance, int]:
    config, classes = trained.config, len(trained.classes)
    return {i: network_flops(config.model, classes, config.data.size, i) for i in instances}
