"""What is searched for, and what a search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from undoor.triggers import Trigger

# The "target" of a search in which images of all classes are to leave their own.
ALL = -1


@dataclass(frozen=True, eq=False)
class Search:
    """What to look for: a trigger that moves the images of `pool` (indices [n]) to `target`.

    start : a trigger to make smaller, of the family searched; none starts from noise.
    leave : labels [N] of all images, given where the images of the pool are to leave their own
        class, wherever they go; `target` is then the class that they are of, or `ALL`.
    """

    target: int
    pool: Tensor
    start: Trigger | None = None
    leave: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """The smallest trigger that worked for `target`; `size` is None where none did.

    `asr` is the share of the last images that it moved, about fifty, where the search ended.
    """

    target: int
    family: str
    size: float | None
    trigger: Trigger
    asr: float = 0.0


def smallest(candidates: Sequence[Candidate]) -> dict[int, Candidate]:
    """Return the smallest candidate of each target, since one start in two can miss a trigger.

    Where none works, the one that comes nearest to it. The most promising targets come first.
    """
    best: dict[int, Candidate] = {}
    for candidate in sorted(candidates, key=_promise):
        best.setdefault(candidate.target, candidate)
    return best


def _promise(candidate: Candidate) -> tuple[float, float]:
    return (torch.inf if candidate.size is None else candidate.size, -candidate.asr)
