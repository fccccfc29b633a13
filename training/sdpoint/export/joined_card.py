"""The model card of a family that was joined from several: README.md and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdpoint.checkpoint import Trained
from sdpoint.export.about import About
from sdpoint.export.card import PLOT, labels_of, limits_of, quantised_of, smoothing_of, table_of
from sdpoint.export.manifest import runtime_of
from sdpoint.export.measure import TOLERANCE, Measured, best_of
from sdpoint.export.plot import plot_frontier
from sdpoint.flops import CONVENTION


@dataclass(frozen=True)
class Story:
    """What a card says of one of the networks. size: of its input; made: text of `How it was made`."""

    architecture: str
    parameters: int
    size: int
    made: str


def write_joined_card(
    folder: Path,
    name: str,
    trained: Trained,
    about: About,
    measured: Sequence[Measured],
    stories: Mapping[str, Story],
) -> None:
    """trained: of the first family; stories: by the name of the network, the first of them `full`'s, without a name."""
    best = best_of(measured)
    title = f"{name}: {len(stories)} networks"
    plot_frontier(folder / PLOT, title, measured, best)
    parts = [
        _head(name, trained, about, measured, stories),
        f"![top-1 on the test part against share of FLOPs, for every instance]({PLOT})\n",
        table_of(measured, best),
        _measurement(measured, about, trained.config.data.name),
        "## How it was made\n\nThe networks were made on their own, and joined (`sdpoint join`) afterwards.\n",
        *(f"### {_named(network, story)}\n\n{story.made}\n" for network, story in stories.items()),
        limits_of(about, trained),
        f"## Licence and source\n\n{about.license}, see `LICENSE`. Weights: {about.source}.\n",
    ]
    (folder / "README.md").write_text("\n".join(parts))


def _named(network: str, story: Story) -> str:
    return f"{story.architecture}, `{network}`" if network else story.architecture


def _head(name: str, trained: Trained, about: About, measured: Sequence[Measured], stories: Mapping[str, Story]) -> str:
    size = trained.config.data.size
    listed = "".join(
        f"- {_named(network, s)}: {s.parameters:,} parameters, input {s.size} x {s.size}\n"
        for network, s in stories.items()
    )
    costs = len({(m.network, m.instance) for m in measured})
    return f"""# {name}: {len(stories)} networks at {costs} costs

{about.description}

Each network was made adjustable (SDPoint, Kuen et al., CVPR 2018,
[arXiv 1801.09335](https://arxiv.org/abs/1801.09335)). An instance (p, r) is its network with the feature map shrunk to
`round(size * r)` at point p; it has the weights of its network (`weights.bin`) and its own batch norm. All instances
get the same `image`, uint8 [batch, {size}, {size}, 3] RGB, and give `logits`; one with a smaller input reduces the
picture first, by linear interpolation, or its map at point 1 by as much more. `full` and all shares of cost are those
of the first network.

{listed}
{labels_of(trained)}
"""


def _measurement(measured: Sequence[Measured], about: About, dataset: str) -> str:
    n, held_out = measured[0].test.n, measured[0].held_out.n
    pictures = f"{n:,} pictures ({about.scope})" if about.scope else f"all {n:,} pictures"
    return f"""## How it was measured

- top-1 and top-5: {pictures} of the test part of {about.dataset or dataset}, by {runtime_of(measured)}, on the exported
  graphs. The interval is by the choice of pictures (Wilson): a difference well within it says little, though all
  instances see the same pictures.
- Temperatures were fitted on {held_out:,} held-out pictures, which no network was adapted on.
- *frontier*: no other instance has no more FLOPs and no less top-1 and is better in one. It is read off the test
  figures; compare the held-out column before relying on a small step.
{smoothing_of(measured)}{quantised_of(measured)}- FLOPs: {CONVENTION}.
- ECE: expected calibration error on the test part in 15 bins, without and with the temperature: how far the
  probability of an answer is from how often such answers are right.
- `golden.json`: logits of PyTorch's forward pass; any runtime should be within {TOLERANCE}.
"""
