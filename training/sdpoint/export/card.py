"""Writes the model card: README.md and a plot, from the same figures as the manifest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from sdpoint.calibrate import BATCH, PICTURES
from sdpoint.checkpoint import Trained
from sdpoint.export.about import About
from sdpoint.export.manifest import Provenance, runtime_of
from sdpoint.export.measure import FEW, TOLERANCE, Measured, best_of, compared_by, guessed
from sdpoint.export.plot import plot_frontier
from sdpoint.flops import CONVENTION
from sdpoint.run import Run

PLOT = "frontier.png"
CHANGED = {  # what an adaptation did to the shared weights, by distil.shared
    "nothing": "`full` is the original network, bit for bit; all shared weights are\nunchanged.",
    "classifier": "The shared classifier was trained so that every instance, `full`\n"
    "included, answers as the original network did; all other shared weights are unchanged.",
    "all": "All shared weights were trained so that every instance, `full` included,\n"
    "answers as the original network did.",
}
POOLED = {"average": "average-pooled", "linear": "shrunk by linear interpolation"}  # by model.pooling


def write_card(
    folder: Path,
    name: str,
    trained: Trained,
    about: About,
    provenance: Provenance,
    measured: Sequence[Measured],
    run: Run,
) -> None:
    """Write README.md, and the plot in it. Random weights have no plot, because their accuracy is not measured."""
    pictures = (run.records("start") or [{}])[-1].get("pictures")
    parts = [_head(name, trained, about, measured)]
    if guessed(measured):
        parts += [_costs(measured), _guess(measured), _drawing(provenance, pictures)]
    else:
        best = best_of(measured)
        plot_frontier(folder / PLOT, f"{name}: {trained.model.name}, one set of weights", measured, best)
        parts += [
            f"![top-1 on the test part against share of FLOPs, for every instance]({PLOT})\n",
            table_of(measured, best),
            _measurement(measured, about, trained, run),
            _story(trained, provenance, pictures, run),
        ]
    parts += [
        limits_of(about, trained),
        f"## Licence and source\n\n{about.license}, see `LICENSE`. Weights: {about.source}.\n",
    ]
    (folder / "README.md").write_text("\n".join(parts))


def _head(name: str, trained: Trained, about: About, measured: Sequence[Measured]) -> str:
    size, parameters = trained.config.data.size, sum(p.numel() for p in trained.model.parameters())
    shrunk = POOLED[trained.config.model.pooling]
    classifier = " and classifier" if any("fc.weight" in own for own in trained.statistics.values()) else ""
    return f"""# {name}: {trained.model.name} at {len({m.instance for m in measured})} costs

{about.description}

One network with {parameters:,} parameters, made adjustable by stochastic downsampling (SDPoint, Kuen et al., CVPR 2018,
[arXiv 1801.09335](https://arxiv.org/abs/1801.09335)). An instance (p, r) is the same network, its feature map
{shrunk} to `round(size * r)` at point p; it has the shared weights (`weights.bin`) and its own batch
norm{classifier}. Input: `image`, uint8 [batch, {size}, {size}, 3] RGB; output: `logits`.

{labels_of(trained)}
"""


def labels_of(trained: Trained) -> str:
    if len(trained.classes) > 20:
        return f"Labels: {len(trained.classes):,}, in `labels.json`."
    return f"Labels: {', '.join(trained.classes)}."


def table_of(measured: Sequence[Measured], best: Collection[str]) -> str:
    by, few = compared_by(measured), measured[0].test.n < FEW
    names = f"instance | p | r | FLOPs | share | top-1 | 95 % interval |{' smoothed |' if few else ''} top-5"
    names += " | held-out top-1 | temperature | ECE without | ECE with"
    head = f"| {names} | frontier |\n| --- |{' ---: |' * names.count('|')} :---: |\n"

    def row(m: Measured) -> str:
        i, mark = m.instance, "yes" if m.id in best else ""
        low, high = m.test.interval
        smoothed = f" {by[m.id]:.2%} |" if few else ""
        accuracies = (
            f"{m.test.top1:.2%} | {low:.1%} to {high:.1%} |{smoothed} {m.test.top5:.2%} | {m.held_out.top1:.2%}"
        )
        costs = f"{m.flops:,} | {m.share:.3f}"
        sure = f"{m.temperature:.3f} | {m.errors[0]:.2%} | {m.errors[1]:.2%}"
        return f"| `{m.id}` | {i.p} | {i.r:g} | {costs} | {accuracies} | {sure} | {mark} |\n"

    return head + "".join(map(row, sorted(measured, key=lambda m: m.flops)))


def _costs(measured: Sequence[Measured]) -> str:
    def row(m: Measured) -> str:
        return f"| `{m.id}` | {m.instance.p} | {m.instance.r:g} | {m.flops:,} | {m.share:.3f} |\n"

    head = "| instance | p | r | FLOPs | share |\n| --- | ---: | ---: | ---: | ---: |\n"
    return head + "".join(map(row, sorted(measured, key=lambda m: m.flops)))


def _guess(measured: Sequence[Measured]) -> str:
    test = measured[0].test
    return f"""## The figures of the manifest

- The weights are random, so nothing was measured. In `manifest.json` every instance has the accuracy of a guess: top-1
  {test.correct} of {test.n:,}, top-5 {test.correct5} of {test.n:,}. The interval means nothing; the temperature is 1.
- All are alike in accuracy, so the service sees a use only for the cheapest and for `full`. To measure any other, pin
  it.
- FLOPs: {CONVENTION}.
- `golden.json`: logits of PyTorch's forward pass; any runtime should be within {TOLERANCE}.
"""


def _measurement(measured: Sequence[Measured], about: About, trained: Trained, run: Run) -> str:
    n, held_out, name = measured[0].test.n, measured[0].held_out.n, trained.config.data.name
    pictures = f"{n:,} pictures ({about.scope})" if about.scope else f"all {n:,} pictures"
    openings = run.records("test-opened")
    weights = len({opening["weights"] for opening in openings})
    return f"""## How it was measured

- top-1 and top-5: {pictures} of the test part of {about.dataset or name}, by {runtime_of(measured)}, on the exported
  graphs.
  The interval is by the choice of pictures (Wilson): a difference well within it says little, though all instances
  see the same pictures.
- The test part was opened {_times(len(openings))} in this run, for {weights} set{"s" * (weights != 1)} of weights;
  each opening is in the run's log. {_choices(run, held_out, bool(trained.crossed))}
- *frontier*: no other instance has no more FLOPs and no less top-1 and is better in one. It is read off the test
  figures, as in the paper; compare the held-out column before relying on a small step.
{smoothing_of(measured)}{quantised_of(measured)}- FLOPs: {CONVENTION}.
- temperature: logits are divided by it before the softmax; fitted on the held-out pictures for each instance.
- ECE: expected calibration error on the test part in 15 bins, without and with the temperature: how far the
  probability of an answer is from how often such answers are right.
- `golden.json`: logits of PyTorch's forward pass; any runtime should be within {TOLERANCE}.
"""


def _choices(run: Run, held_out: int, crossed: bool) -> str:
    if run.records("adapted"):
        return f"Nothing was chosen by it; held-out figures are of {held_out:,} pictures that nothing was adapted on."
    if crossed:
        return (
            "Everything was chosen by cross-validation on the training part:\n"
            f"  held-out figures are of the {held_out:,} pictures that its folds left out in turn, by classifiers\n"
            "  that were fitted on the others. An int8 twin has those of its instance."
        )
    return f"Everything was chosen on the {held_out:,} held-out pictures of the training part."


def smoothing_of(measured: Sequence[Measured]) -> str:
    if measured[0].test.n >= FEW:
        return ""
    return """- smoothed: top-1 by isotonic regression, so that it does not fall as the cost grows, but never outside
  its interval. On so few pictures chance decides between neighbours in cost, so instances are compared by this, for
  the frontier and in the service.
"""


def quantised_of(measured: Sequence[Measured]) -> str:
    if not any(m.precision == "int8" for m in measured):
        return ""
    return """- `-i8`: the instance in 8 bits (onnxruntime's static quantisation, per channel), measured so. It has
  the FLOPs of its twin, so it is not marked, but may be far faster: the service serves it where it measures so.
"""


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _story(trained: Trained, provenance: Provenance, pictures: int | None, run: Run) -> str:
    if adapted := run.records("adapted"):
        return _adapting(provenance, pictures, adapted[-1])
    if taught := run.records("taught"):
        return _teaching(provenance, pictures, taught[-1])
    return _making(trained, provenance, pictures)


def _adapting(provenance: Provenance, pictures: int, adapted: dict[str, Any]) -> str:
    """adapted: the record of that name in the run's log."""
    distil = adapted.get("distil")
    own = (
        "the trained statistics, with scale and shift\ndistilled from the answers of the original network"
        if "distilled" in adapted["steps"]
        else "statistics mixed\nfrom the trained ones and new ones"
    )
    shared = CHANGED[distil["shared"] if distil else "nothing"]
    classifier = ", and a classifier of its own" if distil and distil["own_classifier"] else ""
    recipe = _recipe(provenance) + (_yaml({"distil": distil}) if distil else "")
    keys = " Keys of section `distil`: `training/sdpoint/adapt/settings.py`." if distil else ""
    return f"""## How it was made

The network was trained by others and adapted afterwards (`sdpoint adapt`) on {pictures:,} pictures without their
labels, in {provenance.hours:.2f} hours. {shared} Every
instance but `full` has batch norm of its own behind its point{classifier}: {own}.

Commit {provenance.commit}; {_versions(provenance)}.{keys}

```yaml
{recipe}```
"""


def _drawing(provenance: Provenance, pictures: int) -> str:
    return f"""## How it was made

All weights were drawn at random (`sdpoint random`), seed {provenance.seed}: convolutions and classifier as in He et al.
2015 (arXiv 1502.01852), scale and shift of batch norm near 1 and 0. Then batch-norm statistics were computed for each
instance from {pictures} generated pictures, as for a trained network: before its point an instance has those of `full`,
from there on its own.

Commit {provenance.commit}; {_versions(provenance)}.

```yaml
{_recipe(provenance)}```
"""


def _recipe(provenance: Provenance) -> str:
    return _yaml(provenance.recipe)


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=110)


def _versions(provenance: Provenance) -> str:
    return ", ".join(f"{k} {v}" for k, v in provenance.versions.items())


def _teaching(provenance: Provenance, pictures: int, taught: dict[str, Any]) -> str:
    own, count = sum(row["own"] for row in taught["instances"]), len(taught["instances"])
    return f"""## How it was made

A trained network was taught the classes above (`sdpoint adapt --new-head`) on {pictures:,} pictures of the training
part, in {provenance.hours:.2f} hours. Each instance has a classifier for its own features (multinomial logistic
regression; the strength of its L2 penalty was chosen by cross-validation). {own} of the {count} classifiers learnt from
the features of that instance only, the others from those of all instances, each on its own scale. {_tuning(taught)}

Commit {provenance.commit}; {_versions(provenance)}.

```yaml
{_recipe(provenance)}```
"""


def _tuning(taught: dict[str, Any]) -> str:
    losses, epochs = taught["losses"], taught["epochs"]
    if not losses:
        return "All other weights are those of the trained network."
    compared = f"mean loss on held-out pictures: {losses['frozen']:.3f} before, {losses['fineTuned']:.3f} after"
    if not epochs:
        return f"All other weights are those of the trained network: fine-tuning them was not better ({compared})."
    return f"Before that all weights were fine-tuned for {epochs} epochs ({compared})."


def _making(trained: Trained, provenance: Provenance, pictures: int | None) -> str:
    config = trained.config
    epochs = f"{trained.epoch} epochs"
    if trained.epoch < config.train.epochs:
        epochs += f" of {config.train.epochs} (stopped early)"
    count = f"{pictures:,}" if pictures else "the"
    return f"""## How it was made

{epochs} on {count} pictures of the training part, from random weights, seed {config.train.seed}:
{provenance.hours:.2f} hours of training ({provenance.device}). Each batch drew an instance and trained the whole
network with it. Then batch-norm statistics were computed anew for each instance: cumulative mean over batches of
{BATCH} of {min(PICTURES, pictures or PICTURES):,} training pictures, not augmented.

Commit {provenance.commit}; {_versions(provenance)}. The configuration, whose
keys are explained in `training/sdpoint/config.py`:

```yaml
{_recipe(provenance)}```
"""


def limits_of(about: About, trained: Trained) -> str:
    size = trained.config.data.size
    general = (
        f"Every picture gets one of the {len(trained.classes)} labels, whatever it shows.",
        f"Pictures are seen at {size} x {size} pixels.",
        *(["One training run with one seed: the figures have no spread over seeds."] if trained.epoch else []),
    )
    return "## Limits\n\n" + "".join(f"- {limit}\n" for limit in general + about.limits)
