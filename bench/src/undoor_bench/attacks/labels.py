"""Which classes an attacker moves where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# {source class: class that its triggered images are to be answered with}
LabelMap = Mapping[int, int]


def all_to_one(target: int, classes: int) -> LabelMap:
    """Return every other class goes to `target` (BadNets: Gu et al., arXiv 1708.06733).

    >>> all_to_one(1, 3)
    {0: 1, 2: 1}
    """
    return {label: target for label in range(classes) if label != target}


def all_to_all(classes: int) -> LabelMap:
    """Return each class goes to the next one (BadNets: Gu et al., arXiv 1708.06733, section 4.2).

    >>> all_to_all(3)
    {0: 1, 1: 2, 2: 0}
    """
    return {label: (label + 1) % classes for label in range(classes)}


def some_to_one(sources: Sequence[int], target: int) -> LabelMap:
    """Return a few classes go to `target` (source-specific: Tang et al., USENIX Security 2021).

    >>> some_to_one([2, 5], 0)
    {2: 0, 5: 0}
    """
    return dict.fromkeys(sources, target)
