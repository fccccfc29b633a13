"""Settings of a distillation on many pictures: section `distil` of an adapter."""

from __future__ import annotations

from dataclasses import dataclass

from sdpoint.config import ConfigError

SHARED = ("nothing", "classifier", "all")


@dataclass(frozen=True)
class Distil:
    """The keys of section `distil`. Batch size, seed, precision, threads and averaging are those of section `train`.

    Every instance has its own scale and shift of the norm layers behind its point; they are always trained, with the
    peak rate train.lr. The schedule of all rates is a linear rise over train.warmup and a half cosine.
    """

    steps: int = 2000  # steps of the optimizer; each trains one instance on one batch
    shared: str = "nothing"  # shared weights that are trained, too: nothing, classifier, or all; they change `full`
    own_classifier: bool = False  # each instance but `full` has its own classifier: costs classes x features weights
    shared_lr: float = 1e-4  # peak rate of Adam for classifiers and shared weights; too high, `full` forgets
    pictures: int = 0  # trained on at most so many, drawn at random; 0: all
    repeat: int = 1  # how often an epoch takes each picture of the first folder, in other crops
    held_out: int = 0  # pictures of the second and further folders that are not trained on; the first: data.held_out
    crop_sets: int = 8  # sets with one crop of every picture, used in turn; the teacher answers each crop once
    crop_least: float = 0.65  # side of the smallest crop, as a share of the picture's shorter side
    blended: float = 0.5  # share of the crops that are blended with a crop of another picture
    temperature: float = 1.0  # of teacher and instance in the loss; above 1 unlikely classes count more
    teacher_flips: bool = False  # the teacher also sees the mirrored crop; its answer is the mean
    teacher_scales: tuple[float, ...] = (1.0,)  # sizes in which the teacher sees a crop, as shares of data.size
    look_every: int = 0  # steps between measurements on held-out pictures while training; 0: none
    look: int = 300  # held-out pictures of such a measurement

    def __post_init__(self) -> None:
        for key in ("steps", "pictures", "held_out", "look_every"):
            _expect(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")
        for key in ("crop_sets", "look", "repeat"):
            _expect(getattr(self, key) >= 1, key, getattr(self, key), "1 or more")
        _expect(self.shared in SHARED, "shared", self.shared, f"one of {list(SHARED)}")
        _expect(self.shared_lr > 0, "shared_lr", self.shared_lr, "above 0")
        _expect(0 < self.crop_least <= 1, "crop_least", self.crop_least, "a share above 0, at most 1")
        _expect(0 <= self.blended <= 1, "blended", self.blended, "a share in 0 to 1")
        _expect(self.temperature > 0, "temperature", self.temperature, "above 0")
        scales = self.teacher_scales
        distinct = len(set(scales)) == len(scales) > 0
        _expect(distinct and all(0.25 <= s <= 4 for s in scales), "teacher_scales", scales, "different, in 0.25 to 4")


def _expect(holds: bool, key: str, value: object, expected: str) -> None:
    if not holds:
        raise ConfigError(f"distil.{key} is {value!r}; expected {expected}")
