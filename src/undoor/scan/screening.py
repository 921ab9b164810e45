"""The first look at every class in every family."""

from __future__ import annotations

from typing import get_args

from undoor.classifier import Classifier
from undoor.families.family import Moves
from undoor.families.registry import families_for
from undoor.inversion.work import Work
from undoor.scan.confirm import ends_of_shared, ends_of_sources
from undoor.scan.screen import screen, screen_shared, screen_sources
from undoor.scan.table import Table


def searched(classifier: Classifier) -> tuple[str, ...]:
    """All families that are searched in a network, in the order of the search."""
    return tuple(name for moves in get_args(Moves) for name in families_for(classifier, moves))


def fill(work: Work, table: Table) -> list[str]:
    """Fill the table as far as the budget goes, at least with one family.

    Returns
    -------
    list of str
        The families of which a search was cut short.
    """
    partly: list[str] = []
    cuts = work.meter.cuts

    def counted(family: str) -> None:
        nonlocal cuts
        if work.meter.cuts > cuts:
            partly.append(family)
        cuts = work.meter.cuts

    for family in families_for(work.classifier):
        if work.meter.exhausted and table.entries:
            return partly
        table.add(family, screen(work, family))
        counted(family)
    for family in families_for(work.classifier, "source"):
        if work.meter.exhausted:
            return partly
        candidates = screen_sources(work, family)
        table.add_sources(family, candidates, ends_of_sources(work, candidates))
        counted(family)
    for family in families_for(work.classifier, "shared"):
        if work.meter.exhausted:
            return partly
        table.add_shared(family, *ends_of_shared(work, screen_shared(work, family)))
        counted(family)
    return partly
