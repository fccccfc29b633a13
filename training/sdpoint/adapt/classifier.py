"""A linear classifier on fixed features: multinomial logistic regression with an L2 penalty.

The strength of the penalty is chosen by cross-validation. Features are [n, views, channels]: several views of a picture
with one label, such as its features in several instances, from which one classifier can learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Strengths that are tried, the strongest first, until the loss hardly falls. With the first a classifier hardly learns;
# with the last the penalty no longer matters.
STRENGTHS = tuple(10 ** (-k / 2) for k in range(9))
LEAST_FALL = 1e-3  # in nats; less than what other folds change
FOLDS = 5  # usual for a few hundred pictures
ENOUGH = 2000  # pictures to judge a strength on: their top-1 is within two points; further folds are not fitted
STEPS = 200  # of L-BFGS, at most
TOLERANCE = 1e-4  # of the gradient: the loss is then within a millionth of its minimum


class Scale(NamedTuple):
    """What features are shifted and divided by, so that a strength means the same for all networks. Both [channels]."""

    mean: Tensor
    divisor: Tensor

    def apply(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.divisor

    @torch.no_grad()
    def undone(self, head: nn.Linear) -> nn.Linear:
        """The classifier of scaled features as one of unscaled features."""
        weight = head.weight / self.divisor
        return _linear(weight, head.bias - weight @ self.mean)


def scale_of(features: Tensor) -> Scale:
    """The scale of features [n, channels].

    The divisor is the geometric mean of the channel's deviation and of that of all channels: standardised channels give
    too much weight to those that hardly vary, unscaled ones to those that vary most (results/new-head-scales.json).
    """
    deviation = features.std(0).clamp_min(1e-6)
    return Scale(features.mean(0), (deviation * deviation.square().mean().sqrt()).sqrt())


@dataclass(frozen=True)
class Judged:
    """A strength, and the classifiers that were fitted with it, each judged on the pictures that its fold left out.

    heads: the classifier of each fold; parts: indices of the pictures that it left out; labels: of those pictures;
    loss: mean negative log-likelihood in nats of all views.
    """

    strength: float
    heads: tuple[nn.Linear, ...]
    parts: tuple[Tensor, ...]
    labels: Tensor
    loss: float

    def logits(self, features: Tensor) -> Tensor:
        """Logits of the pictures that were left out, from one view of all pictures, [n, channels]."""
        return _left_out(self.heads, self.parts, features[:, None])[:, 0]


def loss_of(logits: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the labels in nats. logits: [n, classes]; labels: [n]."""
    return F.cross_entropy(logits, labels).item()


@torch.no_grad()
def _left_out(heads: Sequence[nn.Linear], parts: Sequence[Tensor], features: Tensor) -> Tensor:
    """Logits [pictures, views, classes] of each fold's classifier for the pictures that it left out."""
    return torch.cat([head(features[part]) for head, part in zip(heads, parts, strict=True)])


def folds(labels: Tensor) -> tuple[Tensor, ...]:
    """Divide pictures at random into parts with the same share of each class; at most as many as judge ENOUGH pictures.

    labels: [n]; each class has at least two pictures. Returns the indices of the pictures in each part.
    """
    count = min(FOLDS, int(labels.unique(return_counts=True)[1].min()))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    order = order[labels[order].argsort(stable=True)]  # by class, at random within a class
    parts = [order[k::count].sort().values for k in range(count)]  # dealt out in turn
    return tuple(parts[: -(-ENOUGH // len(parts[0]))])


def choose(features: Tensor, labels: Tensor, classes: int) -> Judged:
    """The strength with the lowest loss on pictures that were left out.

    features: [n, views, channels], scaled; labels: [n].
    """
    parts = folds(labels)
    best = _judge(features, labels, classes, STRENGTHS[0], parts, [None] * len(parts))
    for strength in STRENGTHS[1:]:
        judged = _judge(features, labels, classes, strength, parts, best.heads)
        if judged.loss > best.loss - LEAST_FALL:
            break
        best = judged
    return best


def _judge(
    features: Tensor,
    labels: Tensor,
    classes: int,
    strength: float,
    parts: tuple[Tensor, ...],
    starts: Sequence[nn.Linear | None],
) -> Judged:
    heads = []
    for part, start in zip(parts, starts, strict=True):
        kept = torch.ones(len(labels), dtype=torch.bool).index_fill(0, part, False)
        heads.append(fit(features[kept], labels[kept], classes, strength, start))
    judged, logits = torch.cat([labels[part] for part in parts]), _left_out(heads, parts, features)
    loss = loss_of(logits.flatten(0, 1), judged.repeat_interleave(logits.shape[1]))
    return Judged(strength, tuple(heads), parts, judged, loss)


def fit(features: Tensor, labels: Tensor, classes: int, strength: float, start: nn.Linear | None = None) -> nn.Linear:
    """Fit a classifier: mean cross-entropy plus strength / 2 times the sum of squared weights.

    features: [n, views, channels], scaled; labels: [n]; start: a classifier to begin with, which saves steps.
    """
    x, y = features.flatten(0, 1), labels.repeat_interleave(features.shape[1])
    weight = torch.zeros(classes, x.shape[1]) if start is None else start.weight.detach().clone()
    bias = torch.zeros(classes) if start is None else start.bias.detach().clone()
    optimizer = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()],
        max_iter=STEPS,
        tolerance_grad=TOLERANCE,
        tolerance_change=TOLERANCE**2,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y) + strength / 2 * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return _linear(weight.detach(), bias.detach())


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).requires_grad_(False)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
