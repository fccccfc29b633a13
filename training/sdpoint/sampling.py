"""Which instance a training step uses (paper section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sdpoint.instance import FULL, Instance


def sample_instance(generator: torch.Generator, points: int, ratios: Sequence[float]) -> Instance:
    """Draw p uniformly from {0, ..., points}, then r uniformly from `ratios` (r is 1 if p is 0).

    The reference code turns a drawn 0 into "none" and never trains one point; here 0 *is* "none", once.
    """
    p = int(torch.randint(points + 1, (), generator=generator))
    if p == 0:
        return FULL
    return Instance(p, ratios[int(torch.randint(len(ratios), (), generator=generator))])
