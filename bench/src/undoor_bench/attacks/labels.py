"""Which classes an attacker moves where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# {source class: class that its triggered images are to be predicted as}
LabelMap = Mapping[int, int]


def all_to_one(target: int, classes: int) -> LabelMap:
    """Return a map of every other class to `target` (BadNets: Gu et al., arXiv 1708.06733).

    >>> all_to_one(1, 3)
    {0: 1, 2: 1}
    """
    return {label: target for label in range(classes) if label != target}


def all_to_all(classes: int) -> LabelMap:
    """Return a map of each class to the next one (BadNets: arXiv 1708.06733, section 4.2).

    >>> all_to_all(3)
    {0: 1, 1: 2, 2: 0}
    """
    return {label: (label + 1) % classes for label in range(classes)}


def some_to_one(sources: Sequence[int], target: int) -> LabelMap:
    """Return a map of a few classes to `target` (source-specific: Tang et al., USENIX 2021).

    >>> some_to_one([2, 5], 0)
    {2: 0, 5: 0}
    """
    return dict.fromkeys(sources, target)
