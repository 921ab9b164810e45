"""The first look at every class in every family."""

from __future__ import annotations

from typing import get_args

from undoor.classifier import Classifier
from undoor.errors import BudgetEnded
from undoor.families.family import Moves
from undoor.families.registry import families_for, family_named
from undoor.inversion.opaque import opaque_margins
from undoor.inversion.smaller import FirstLook
from undoor.inversion.work import Work
from undoor.progress import FAMILIES
from undoor.scan.confirm import ends_of_shared, ends_of_sources
from undoor.scan.forecast import passes_of
from undoor.scan.screen import screen, screen_shared, screen_sources
from undoor.scan.table import Table


def searched(classifier: Classifier) -> tuple[str, ...]:
    """Return the names of the families that are searched in a network, in that order."""
    return tuple(name for moves in get_args(Moves) for name in families_for(classifier, moves))


def fill(look: FirstLook, table: Table) -> list[str]:
    """Fill the table as far as the budget goes.

    Parameters
    ----------
    look
        What is searched.
    table
        Gets the candidates, at the full size of the images.

    Returns
    -------
    list of str
        The family in whose search the budget ended; none where it sufficed.
    """
    add = {"target": _add, "source": _add_sources, "shared": _add_shared}
    work = look.work
    names = searched(work.classifier)
    for done, name in enumerate(names):
        work.run.meter.expected = work.run.meter.passes + passes_of(
            work.classifier,
            names[done:],
            len(work.images.x),
            targets=len(work.targets),
            sources=work.images.classes_with_images,
        )
        try:
            work.run.progress(FAMILIES, done, len(names))
            add[family_named(name).moves](look, table, name)
        except BudgetEnded:
            return [name]
    return []


def first_look(work: Work, family: str) -> None:
    """Search a family as `fill` does, for the sake of what it draws and of the journal alone.

    One that is made of another draws nothing and has no step in the journal.
    """
    if family_named(family).made_of is not None:
        return
    look = {"target": screen, "source": screen_sources, "shared": screen_shared}
    look[family_named(family).moves](work, family)


def _add(look: FirstLook, table: Table, family: str) -> None:
    if made_of := family_named(family).made_of:
        smallest = table.candidates(made_of.name)
        table.add(family, opaque_margins(look.full, family_named(family), smallest))
    else:
        table.add(family, [*map(look.at_full_size, screen(look.work, family))])


def _add_sources(look: FirstLook, table: Table, family: str) -> None:
    candidates = screen_sources(look.work, family)
    ends = ends_of_sources(look.work, candidates)
    table.add_sources(family, [*map(look.at_full_size, candidates)], ends)


def _add_shared(look: FirstLook, table: Table, family: str) -> None:
    candidate, ends = ends_of_shared(look.work, screen_shared(look.work, family))
    table.add_shared(family, look.at_full_size(candidate), ends)
