"""Estimates of one trigger that differ, at the strengths that the true one may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.classifier import ENTRY
from undoor.device import beside
from undoor.families.registry import find_family
from undoor.spaces.space import Extent
from undoor.triggers import Stamp, Trigger

# Estimates that agree more than this (mean cosine) are the trigger, whose strength they show too.
AGREED = 0.5
MAX = 16.0
# Of the golden ratio: multiples of it modulo 1 fill the unit interval evenly.
GOLDEN = 0.618034


@dataclass(frozen=True, eq=False)
class Strengthened:
    """x + s d on raw inputs [n, ...], with another pattern d and another strength s in each row.

    Attributes
    ----------
    patterns
        [m, C, ...] in raw units, taken in turn.
    max_strength
        Strengths run from 1 to this, evenly in their logarithm. The same rows always get the same.
    bounds
        Lowest and highest value of an input.
    """

    patterns: Tensor
    max_strength: float
    bounds: tuple[float, float]
    site: str = ENTRY

    def __call__(self, x: Tensor) -> Tensor:
        """Return inputs x [n, ...] with the patterns added, clipped to the bounds."""
        (patterns,) = beside(x, self.patterns)
        rows = torch.arange(len(x), device=x.device)
        strength = self.max_strength ** (rows * GOLDEN % 1)
        added = patterns[rows % len(patterns)]
        return (x + strength.view(-1, *[1] * (x.dim() - 1)) * added).clamp(*self.bounds)


def strengthened(triggers: Sequence[Trigger], extent: Extent) -> Strengthened | None:
    """Return stronger patterns to fit on, where the estimates of a trigger do not agree.

    A network that has learned a faint texture is moved by any of many patterns far smaller than
    the true one: each estimate is the smallest that works, and none resembles the trigger. That is
    stronger, but no stronger than what moves a network without a backdoor.

    Parameters
    ----------
    triggers
        Estimates of one trigger; the first stands for all.
    extent
        How large an input is.

    Returns
    -------
    Strengthened or None
        None where the estimates agree, or where the first is not of a family whose estimates are
        each the smallest that works.
    """
    family = find_family(triggers[0].family)
    if family is None or family.null is None or not family.in_repair.strengthened:
        return None
    same = [t for t in triggers if isinstance(t, Stamp) and t.family == family.name]
    patterns = torch.stack([trigger.pattern for trigger in same])
    if len(same) < 2 or _agreement(patterns) >= AGREED:
        return None
    low, high = triggers[0].bounds
    strength = float(patterns.flatten(1).norm(dim=1).mean()) / (high - low)
    natural = family.null.natural * family.growth(extent)
    max_strength = min(MAX, natural / max(strength, 1e-6))
    if max_strength <= 1:
        return None
    return Strengthened(patterns, max_strength, triggers[0].bounds)


def _agreement(patterns: Tensor) -> float:
    """Return the mean cosine of every two patterns [m, ...]."""
    unit = torch.nn.functional.normalize(patterns.flatten(1), dim=1)
    count = len(unit)
    return float(((unit @ unit.T).sum() - count) / (count * (count - 1)))
