"""What is searched for, and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.triggers import Trigger

# The "target" of a search in which images of all classes are to leave their class.
ALL = -1


@dataclass(frozen=True, eq=False)
class Search:
    """What to look for: a trigger that moves images to a target.

    Attributes
    ----------
    target
        A class.
    pool
        Indices [n] of the images to move.
    start
        A trigger of the family searched, to make smaller; None starts from noise.
    leave
        Labels [N] of all images, given where the images of the pool are to leave their class,
        wherever they go; `target` is then the class that they are of, or `ALL`.
    """

    target: int
    pool: Tensor
    start: Trigger | None = None
    leave: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """The smallest trigger that worked for a target, or that of one size with the largest margin.

    Attributes
    ----------
    target
        As of the search.
    family
        The name of its trigger family.
    size
        In the family's unit; None where no trigger worked.
    trigger
        The trigger itself.
    asr
        Attack success rate on the last images of the search, about fifty, in [0, 1].
    margin
        How clearly the target is predicted under a trigger of a fixed size, in units of the median
        margin of clean inputs (`undoor.inversion.margins`); None where the smallest is searched.
    """

    target: int
    family: str
    size: float | None
    trigger: Trigger
    asr: float = 0.0
    margin: float | None = None


def smallest(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Return the smallest candidate of each target, since one start in two can miss a trigger.

    Where none works, the one with the highest ASR. The most promising targets come first.
    """
    found: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=_smallest_first):
        found.setdefault(candidate.target, candidate)
    return found


def _smallest_first(candidate: Candidate) -> tuple[float, float]:
    return (torch.inf if candidate.size is None else candidate.size, -candidate.asr)
